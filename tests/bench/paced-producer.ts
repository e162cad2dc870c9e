// Sends messages of one size at a fixed rate, an open loop, until it gets SIGTERM; then writes for each when it was due
// and how long after that it was answered OK. A process of its own, so that nothing else holds it up.
//
//   node tests/bench/paced-producer.ts ENDPOINT TOPIC RATE BODY-BYTES FILE
import { writeFileSync } from 'node:fs';
import { MessagingClient, OK } from '../integration/support/messaging.ts';

export interface PacedSend {
  /** Of the machine's monotonic clock. */
  readonly dueMs: number;
  /** Counts from the time at which it was due, so that a stall is not hidden; undefined if it was refused. */
  readonly tookMs: number | undefined;
}

const CONNECTIONS = 2;
const LOOK_EVERY_MS = 1;

/** Milliseconds of the machine's monotonic clock, which every process reads alike. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

async function produce([endpoint, topic, rate, bodyBytes, file]: readonly string[]): Promise<void> {
  const clients = Array.from({ length: CONNECTIONS }, () => new MessagingClient(endpoint!));
  const body = Buffer.alloc(Number(bodyBytes), 'paced ');
  const gapMs = 1_000 / Number(rate);
  const beganMs = monotonicMs();
  const sends: PacedSend[] = [];
  const underWay = new Set<Promise<void>>();
  let number = 0;

  async function send(dueMs: number, messageId: string): Promise<void> {
    let tookMs: number | undefined;
    try {
      const [stored] = await clients[number % CONNECTIONS]!.send(topic!, [{ messageId, body }]);
      if (stored!.code === OK) tookMs = monotonicMs() - dueMs;
    } catch {
      // Whatever the reason, it was not answered OK.
    }
    sends.push({ dueMs, tookMs });
  }

  const timer = setInterval(() => {
    for (const nowMs = monotonicMs(); beganMs + number * gapMs <= nowMs; number++) {
      const sent = send(beganMs + number * gapMs, `paced-${process.pid}-${number}`);
      underWay.add(sent);
      void sent.then(() => underWay.delete(sent));
    }
  }, LOOK_EVERY_MS);
  process.once('SIGTERM', async () => {
    clearInterval(timer);
    await Promise.all(underWay);
    writeFileSync(file!, JSON.stringify(sends));
    process.exit(0);
  });
}

if (import.meta.main) await produce(process.argv.slice(2));
