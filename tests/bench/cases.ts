// The measured cases: what the load generator is told for each. Sizes are bytes of the body, `inFlight` counts requests
// under way over all connections together, and one request carries one message, as official clients send them.

export interface Case {
  readonly name: string;
  /** Arguments of the load generator, without server, topic and process ids. */
  readonly arguments: readonly string[];
  /** Messages that have to lie in the topic before, sent outside the measurement. */
  readonly fill: number;
  readonly size: number;
}

const connectionsFor = (inFlight: number): string => String(Math.min(4, inFlight));

/** Sends of one size, a case for each number of requests under way. */
export function sends(size: number, inFlights: readonly number[], seconds: number): Case[] {
  return inFlights.map((inFlight) => ({
    name: `send ${size} B, ${inFlight} in flight`,
    size,
    fill: 0,
    arguments: [
      ...['send', '--topic', 'bench', '--size', String(size), '--inflight', String(inFlight)],
      ...['--conns', connectionsFor(inFlight), '--seconds', String(seconds), '--warmup', '1.5'],
    ],
  }));
}

export function cases(seconds: number, receiveCount: number): readonly Case[] {
  const list: Case[] = [100, 1024].flatMap((size) => sends(size, [1, 64, 256], seconds));
  list.push({
    name: 'send 32 x 100 B, 16 in flight',
    size: 100,
    fill: 0,
    arguments: [
      ...['send', '--topic', 'bench', '--size', '100', '--batch', '32', '--inflight', '16', '--conns', '4'],
      ...['--seconds', String(seconds), '--warmup', '1.5'],
    ],
  });
  for (const size of [100, 1024]) {
    for (const receivers of [1, 16, 64]) {
      const count = receivers === 1 ? Math.ceil(receiveCount / 4) : receiveCount;
      list.push({
        name: `receive + ack ${size} B, ${receivers} receivers`,
        size,
        fill: count,
        arguments: [
          ...['recv', '--topic', 'bench-r', '--group', 'bench-g', '--count', String(count), '--size', String(size)],
          ...['--receivers', String(receivers), '--conns', connectionsFor(receivers), '--seconds', '60'],
        ],
      });
    }
  }
  for (const rate of [100, 2_000]) {
    list.push({
      name: `end to end 1024 B, ${rate} msg/s`,
      size: 1024,
      fill: 0,
      arguments: endToEnd(seconds, ['--rate', String(rate)], 8, 32),
    });
  }
  for (const [receivers, inFlight] of [
    [1, 1],
    [8, 32],
    [8, 64],
    [8, 256],
  ] as const) {
    list.push({
      name: `end to end 1024 B, closed loop, ${inFlight} in flight`,
      size: 1024,
      fill: 0,
      arguments: endToEnd(seconds, ['--drain', '15s'], receivers, inFlight),
    });
  }
  return list;
}

function endToEnd(seconds: number, more: readonly string[], receivers: number, inFlight: number): string[] {
  return [
    ...['e2e', '--topic', 'bench-r', '--group', 'bench-g', '--receivers', String(receivers)],
    ...['--inflight', String(inFlight), '--conns', inFlight === 1 ? '1' : '2', '--size', '1024'],
    ...['--seconds', String(seconds), ...more],
  ];
}
