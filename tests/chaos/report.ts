// What a run found, as JSON for docs/measurements and as a table for people.

import type { ClusterShape } from './building.ts';
import type { Judgement } from './checker.ts';
import type { Round } from './rounds.ts';

export interface RunReport {
  readonly seed: number;
  readonly commit: string;
  readonly shape: ClusterShape;
  readonly durationMs: number;
  /** Faults that were asked for and do not fit the shape, with the reason. */
  readonly unfit: Readonly<Record<string, string>>;
  readonly rounds: readonly Round[];
  readonly judgement: Judgement;
  readonly probesAcknowledged: number;
  readonly probesStored: number;
}

export interface FaultRow {
  readonly fault: string;
  readonly rounds: number;
  readonly gapMs: { readonly min: number; readonly median: number; readonly max: number };
  /** Messages that came to a group more than once while this fault and its aftermath lasted. */
  readonly repeated: number;
  readonly problems: number;
}

/** Leases that a fault has broken run out after it. */
const AFTERMATH_MS = 15_000;

/** What the rows are made of; runs on other clusters have it too. */
interface Played {
  readonly judgement: Judgement;
  readonly rounds: readonly Pick<Round, 'fault' | 'fromMs' | 'toMs' | 'gapsMs' | 'problem'>[];
}

export function faultRows({ rounds, judgement }: Played): FaultRow[] {
  const names = [...new Set(rounds.map(({ fault }) => fault))];
  return names.map((fault) => {
    const played = rounds.filter((round) => round.fault === fault);
    const gaps = played.flatMap(({ gapsMs }) => gapsMs).sort((a, b) => a - b);
    const repeated = judgement.repeatedAtMs.filter((atMs) =>
      played.some((round) => roundOf(rounds, atMs) === round),
    ).length;
    const problems = played.filter(({ problem }) => problem !== undefined).length;
    const at = (share: number) => gaps[Math.floor((gaps.length - 1) * share)] ?? 0;
    return { fault, rounds: played.length, gapMs: { min: at(0), median: at(0.5), max: at(1) }, repeated, problems };
  });
}

/** The newest round that began before, if it is not long over. */
function roundOf(rounds: Played['rounds'], atMs: number): Played['rounds'][number] | undefined {
  const round = rounds.findLast(({ fromMs }) => fromMs <= atMs);
  return round !== undefined && atMs <= round.toMs + AFTERMATH_MS ? round : undefined;
}

export function isGood({ rounds, judgement, probesAcknowledged, probesStored }: RunReport): boolean {
  const isQuiet = rounds.every(({ problem }) => problem === undefined);
  return isQuiet && judgement.violations.length === 0 && probesStored >= probesAcknowledged;
}

export function describe(report: RunReport): string {
  const { judgement, probesAcknowledged, probesStored } = report;
  const head = ['fault', 'rounds', 'gap min', 'median', 'max (ms)', 'came again', 'problems'];
  const rows = faultRows(report).map(({ fault, rounds, gapMs, repeated, problems }) =>
    [fault, rounds, gapMs.min, gapMs.median, gapMs.max, repeated, problems].map(String),
  );
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  const { repeated, sent, acknowledged, unknown, unknownStored, delivered, violations } = judgement;
  const problems = report.rounds.filter(({ problem }) => problem !== undefined);
  return [
    line(head),
    ...rows.map(line),
    '',
    `${sent} sent, ${acknowledged} answered OK, ${unknown} without an answer (${unknownStored} of them stored), ` +
      `${delivered} delivered`,
    `came again: ${repeated['lease ran out']} because a lease ran out, ${repeated.fault} because of a fault, ` +
      `${repeated.late} answers of older leases, ${repeated['two sets']} copies in a second set`,
    `in two sets: ${judgement.inTwoSets} messages whose send was repeated while their set was away`,
    `probes: ${probesAcknowledged} answered OK, ${probesStored} in the log`,
    ...Object.entries(report.unfit).map(([fault, reason]) => `not played: ${fault}: ${reason}`),
    ...problems.map(({ fault, problem }) => `PROBLEM in ${fault}: ${problem}`),
    ...violations.slice(0, 20).map(({ verdict, key, text }) => `VIOLATION ${verdict}: ${key} ${text}`),
    `seed ${report.seed}: ${violations.length} violations, ` +
      `${problems.length} problems in ${report.rounds.length} rounds`,
  ].join('\n');
}
