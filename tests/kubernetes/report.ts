// What a run on Kubernetes found, as JSON for docs/measurements and as a table for people.
import type { Judgement } from '../chaos/checker.ts';
import { faultRows } from '../chaos/report.ts';
import type { ClientTrial } from './clients.ts';
import type { Round } from './rounds.ts';

export type MemoryByComponent = Readonly<Record<string, readonly number[]>>;

export interface RunReport {
  readonly seed: number;
  readonly commit: string;
  readonly nodes: number;
  /** From `helm install` until everything was ready. */
  readonly installMs: number;
  /** How long `helm test` took. */
  readonly helmTestMs: number;
  readonly clients: readonly ClientTrial[];
  /** What was wrong about how strangers were treated. */
  readonly strangers: readonly string[];
  /** What was wrong about the commands that helm prints. */
  readonly notes: readonly string[];
  readonly unfit: Readonly<Record<string, string>>;
  readonly rounds: readonly Round[];
  readonly judgement: Judgement;
  readonly probesAcknowledged: number;
  readonly probesStored: number;
  /** Resident memory of each pod in MiB: before any client came, and under the traffic at the end. */
  readonly idleMiB: MemoryByComponent;
  readonly loadedMiB: MemoryByComponent;
  /** Containers that ended in a way that nobody asked for. */
  readonly accidents: readonly string[];
}

export function isGood(report: RunReport): boolean {
  return problemsOf(report).length === 0;
}

function problemsOf(report: RunReport): readonly string[] {
  const { rounds, clients, strangers, notes, accidents, judgement, probesStored, probesAcknowledged } = report;
  return [
    ...rounds.flatMap(({ fault, problem }) => (problem === undefined ? [] : [`${fault}: ${problem}`])),
    ...clients.flatMap(({ client, where, problem }) =>
      problem === undefined ? [] : [`the ${client} client ${where}: ${problem}`],
    ),
    ...strangers,
    ...notes,
    ...accidents,
    ...judgement.violations.map(({ verdict, key, text }) => `${verdict}: ${key} ${text}`),
    ...(probesStored < probesAcknowledged ? [`${probesAcknowledged - probesStored} probes are lost`] : []),
  ];
}

export function describe(report: RunReport): string {
  const { judgement, rounds } = report;
  const head = ['what happened', 'rounds', 'without writes min', 'median', 'max (ms)', 'came again', 'problems'];
  const rows = faultRows(report).map((row) =>
    [row.fault, row.rounds, row.gapMs.min, row.gapMs.median, row.gapMs.max, row.repeated, row.problems].map(String),
  );
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  const trials = report.clients.map(({ client, where, milliseconds }) => `${client} ${where} ${milliseconds} ms`);
  const problems = problemsOf(report);
  const lost = judgement.violations.filter(({ verdict }) => verdict === 'lost').length;
  return [
    line(head),
    ...rows.map(line),
    '',
    `installed in ${(report.installMs / 1_000).toFixed(1)} s on ${report.nodes} nodes; helm test took ` +
      `${(report.helmTestMs / 1_000).toFixed(1)} s`,
    `clients: ${trials.join(', ')}`,
    `${judgement.sent} sent, ${judgement.acknowledged} answered OK, ${judgement.unknown} without an answer, ` +
      `${judgement.delivered} delivered, ${lost} lost`,
    `probes: ${report.probesAcknowledged} answered OK, ${report.probesStored} in the log`,
    `memory idle: ${memory(report.idleMiB)}; under load: ${memory(report.loadedMiB)}`,
    ...Object.entries(report.unfit).map(([fault, reason]) => `not played: ${fault}: ${reason}`),
    ...problems.slice(0, 20).map((problem) => `PROBLEM ${problem}`),
    `seed ${report.seed}: ${problems.length} problems in ${rounds.length} rounds`,
  ].join('\n');
}

function memory(used: MemoryByComponent): string {
  return Object.entries(used)
    .map(([component, each]) => `${component} ${Math.max(...each)} MiB`)
    .join(', ');
}
