// What Fulmar wants to reach, row by row, and where each row's figure is in the results: which server, which case,
// which number. A report sets beside it what Apache RocketMQ showed in the same run.
import type { Measured } from './table.ts';

type Figure = 'cpu' | 'rate' | 'p50' | 'p99' | 'cpu_percent' | 'rss_mb' | 'start_ms';

export interface Target {
  readonly name: string;
  readonly server: string;
  readonly case: string;
  readonly figure: Figure;
  readonly unit: string;
  readonly aim: number;
  /** At least the aim rather than at most. */
  readonly isFloor?: boolean;
  readonly peers: readonly string[];
}

const BOTH = ['RocketMQ async', 'RocketMQ sync'];

const sync = (name: string, of: string, figure: Figure, unit: string, aim: number): Target => ({
  ...{ name, server: 'Fulmar sync', case: of, figure, unit, aim, peers: BOTH },
});

export const TARGETS: readonly Target[] = [
  sync('send 1 KiB, 64 in flight: server CPU a message', 'send 1024 B, 64 in flight', 'cpu', 'µs', 22),
  sync('send 1 KiB, 256 in flight: server CPU a message', 'send 1024 B, 256 in flight', 'cpu', 'µs', 14),
  {
    ...sync('send 1 KiB, 256 in flight: rate', 'send 1024 B, 256 in flight', 'rate', 'msg/s', 54_000),
    isFloor: true,
  },
  {
    ...sync('send 1 KiB, one in flight, asynchronous flush: p50', 'send 1024 B, 1 in flight', 'p50', 'ms', 0.2),
    server: 'Fulmar async',
    peers: ['RocketMQ async'],
  },
  sync('send 1 KiB, one in flight: p50', 'send 1024 B, 1 in flight', 'p50', 'ms', 0.45),
  sync('send 32 x 100 B, 16 in flight: server CPU a message', 'send 32 x 100 B, 16 in flight', 'cpu', 'µs', 4),
  sync('receive + ack 1 KiB: server CPU a message', 'receive + ack 1024 B, 16 receivers', 'cpu', 'µs', 20),
  ...(
    [
      ['server CPU a message', 'cpu', 'µs', 45],
      ['end to end p50', 'p50', 'ms', 3],
      ['end to end p99', 'p99', 'ms', 12],
    ] as const
  ).map(([what, figure, unit, aim]) =>
    sync(`send + receive + ack: ${what}`, 'end to end 1024 B, closed loop, 32 in flight', figure, unit, aim),
  ),
  ...(
    [
      ['server CPU a message', 'cpu', 'µs', 400],
      ['end to end p50', 'p50', 'ms', 1.2],
      ['end to end p99', 'p99', 'ms', 5],
    ] as const
  ).map(([what, figure, unit, aim]) =>
    sync(`100 msg/s, 8 receivers wait: ${what}`, 'end to end 1024 B, 100 msg/s', figure, unit, aim),
  ),
  {
    ...sync('three processes, 64 in flight: server CPU a message', 'send 1024 B, 64 in flight', 'cpu', 'µs', 45),
    server: 'Fulmar sync, three processes',
    peers: ['RocketMQ sync, three processes', 'RocketMQ async, three processes'],
  },
  sync('idle: CPU of a core', 'idle', 'cpu_percent', '%', 1),
  sync('idle: resident memory', 'idle', 'rss_mb', 'MiB', 90),
  sync('right after a million messages: resident memory', 'right after a million messages', 'rss_mb', 'MiB', 200),
  sync('a minute later: resident memory', 'after a million messages', 'rss_mb', 'MiB', 200),
  sync('start to the first message', 'start', 'start_ms', 'ms', 500),
  sync('1,000 consumers that poll: CPU of a core', '1,000 polls', 'cpu_percent', '%', 1),
];

export function figureOf(result: Measured['result'], figure: Figure): number {
  const use = result.use as { readonly server_us_per_msg: number } | undefined;
  const latency = (result.e2e_ms ?? result.receive_ms ?? result.send_ms) as Record<string, number> | undefined;
  switch (figure) {
    case 'cpu':
      return use?.server_us_per_msg ?? Number.NaN;
    case 'rate':
      return Number(result.msgs_per_s ?? Number.NaN);
    case 'p50':
    case 'p99':
      return latency?.[figure] ?? Number.NaN;
    default:
      return Number(result[figure] ?? Number.NaN);
  }
}
