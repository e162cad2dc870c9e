// Latency against load: sends in an open loop, which leave when they are due whether earlier ones are answered or not,
// at rates from idle to more than a server can take. Latency counts from the moment at which a message was due, so that
// a server which falls behind shows it.
import type { Case } from './cases.ts';
import type { Lines } from './line-plot.ts';
import { type Measured, median, show } from './table.ts';

const SIZE = 1_024;
/** More than a server may have under way while it keeps up. */
const IN_FLIGHT = 512;
/** A server that falls this far behind what is asked for does not carry the rate. */
const CARRIED_SHARE = 0.98;
const NAME = /^send 1024 B, paced at (\d+) msg\/s$/;

export function pacedSends(rates: readonly number[], seconds: number): readonly Case[] {
  return rates.map((rate) => ({
    name: `send ${SIZE} B, paced at ${rate} msg/s`,
    size: SIZE,
    fill: 0,
    arguments: [
      ...['send', '--topic', 'bench', '--size', String(SIZE), '--rate', String(rate), '--inflight', String(IN_FLIGHT)],
      ...['--conns', '4', '--seconds', String(seconds), '--warmup', '1.5'],
    ],
  }));
}

interface Point {
  readonly server: string;
  readonly rate: number;
  readonly carried: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly cpuMicroseconds: number;
  readonly runs: number;
}

function pointsOf(measured: readonly Measured[]): readonly Point[] {
  const groups = Map.groupBy(
    measured.filter((one) => NAME.test(one.case)),
    (one) => `${one.server}\n${one.case}`,
  );
  const points = [...groups.values()].map((group): Point => {
    const of = (pick: (result: Measured['result']) => unknown): number =>
      median(group.map(({ result }) => Number(pick(result))));
    const latency = (name: string): number => of((result) => (result.send_ms as Record<string, number>)[name]);
    return {
      server: group[0]!.server,
      rate: Number(NAME.exec(group[0]!.case)![1]),
      carried: of((result) => result.msgs_per_s),
      ...{ p50: latency('p50'), p99: latency('p99'), p999: latency('p999') },
      cpuMicroseconds: of((result) => (result.use as { readonly server_us_per_msg: number }).server_us_per_msg),
      runs: group.length,
    };
  });
  return points.sort((a, b) => a.rate - b.rate || (a.server < b.server ? -1 : 1));
}

/** Empty if no paced sends were measured. */
export function loadCurveTable(measured: readonly Measured[]): string {
  const points = pointsOf(measured);
  if (points.length === 0) return '';
  const lines = [
    '| asked for, msg/s | server | carried, msg/s | p50 ms | p99 ms | p99.9 ms | server CPU µs/msg | % of a core ' +
      '| runs |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const { server, rate, carried, p50, p99, p999, cpuMicroseconds, runs } of points) {
    lines.push(
      `| ${show(rate)} | ${server} | ${show(carried)} | ${show(p50)} | ${show(p99)} | ${show(p999)} ` +
        `| ${show(cpuMicroseconds)} | ${show((carried * cpuMicroseconds) / 1e4)} | ${runs} |`,
    );
  }
  return lines.join('\n');
}

/** Of each server the rates that it carries, and the first that it does not. */
export function loadCurves(measured: readonly Measured[]): Lines | undefined {
  const points = pointsOf(measured);
  if (points.length === 0) return undefined;
  const curves = [...Map.groupBy(points, ({ server }) => server)].flatMap(([server, all]) => {
    const carried = all.filter((_, i) => i === 0 || isCarried(all[i - 1]!));
    return (['p50', 'p99'] as const).map((percentile) => ({
      name: `${server}, ${percentile}`,
      isDashed: percentile === 'p99',
      points: carried.map((point) => ({ x: point.carried, y: point[percentile] })),
    }));
  });
  return { title: 'Latency of a send against load', x: 'messages of 1 KiB a second', y: 'ms', curves };
}

function isCarried({ rate, carried }: Point): boolean {
  return carried >= CARRIED_SHARE * rate;
}
