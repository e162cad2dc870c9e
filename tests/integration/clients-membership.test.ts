// What Fulmar promises to the official clients, unmodified, about groups that are not shared: in a broadcasting group
// each client gets every message, although no client knows of broadcasting; in an exclusive group each queue belongs to
// one client, and goes to another within seconds when its client is killed. See clients.test.ts for the settings.
import { describe, expect, test } from '@jest/globals';
import { type Language, languages, languagesWith } from './clients-languages.ts';
import { bodiesOf, clientMatrix, numbered, SCENARIO_MS } from './clients-matrix.ts';
import type { ClientProgram } from './clients-program.ts';

const MESSAGES = 40;
/** A killed client is called lost five seconds after its connection broke, and the proxy looks every 2.5 s. */
const TAKEN_OVER_MS = 20_000;
const LOOK_EVERY_MS = 500;
const { start, fulmar } = clientMatrix();

interface Details {
  readonly subscriptions: readonly {
    readonly owners: readonly { readonly clientId: string }[];
    readonly members: readonly { readonly clientId: string; readonly online: boolean }[];
  }[];
}

function consume(language: Language, kind: string, topic: string, count: number): ClientProgram {
  return start(language, kind, { topic, group: topic, expect: count, timeout: 400 });
}

async function produce(topic: string, prefix: string): Promise<string[]> {
  const { status, output } = await start(languages.at(-1)!, 'produce', { topic, count: MESSAGES, prefix }).finished;
  if (status !== 0) throw new Error(output);
  return numbered(prefix, MESSAGES);
}

async function subscriptionOf(group: string): Promise<Details['subscriptions'][number] | undefined> {
  const details: Details = JSON.parse(await fulmar('group', 'describe', group, '--json'));
  return details.subscriptions[0];
}

/** Looks until it is so; fails after a while, with what was seen last. */
async function until<Seen>(look: () => Promise<Seen>, isSo: (seen: Seen) => boolean, limitMs: number): Promise<Seen> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

const kinds = [
  { kind: 'push', of: languagesWith('push consumer') },
  { kind: 'simple', of: languagesWith('simple consumer') },
];

describe.each(kinds)('in a broadcasting group, $kind consumers', ({ kind, of }) => {
  test(
    'of all languages get every message once, each for itself',
    async () => {
      const topic = `broadcast-${kind}`;
      await fulmar('topic', 'create', topic);
      await fulmar('group', 'create', topic, '--consume', 'broadcasting');
      const consumers = new Map(of.map((language) => [language.name, consume(language, kind, topic, MESSAGES)]));
      await until(
        () => subscriptionOf(topic),
        (subscription) => subscription?.members.length === of.length,
        SCENARIO_MS / 2,
      );
      const sent = await produce(topic, kind);
      for (const [name, consumer] of consumers) {
        const { status, output } = await consumer.finished;
        expect({ name, status, output }).toEqual({ name, status: 0, output });
        expect([name, bodiesOf(consumer).sort()]).toEqual([name, [...sent].sort()]);
      }
    },
    SCENARIO_MS,
  );
});

describe.each(kinds)('in an exclusive group, $kind consumers', ({ kind, of }) => {
  test.each(of)(
    'of $name share the queues, and when one is killed the other has them all within seconds',
    async (language) => {
      const topic = `exclusive-${kind}-${language.name}`;
      await fulmar('topic', 'create', topic);
      await fulmar('group', 'create', topic, '--consume', 'exclusive');
      const [one, other] = [0, 1].map(() => consume(language, kind, topic, 1_000_000));
      const owners = async () => (await subscriptionOf(topic))?.owners.map(({ clientId }) => clientId) ?? [];
      const before = await until(owners, (seen) => new Set(seen).size === 2, SCENARIO_MS / 2);
      const counts = [...new Set(before)].map((clientId) => before.filter((owner) => owner === clientId).length);
      expect(Math.abs(counts[0]! - counts[1]!)).toBeLessThanOrEqual(1);

      const first = await produce(topic, 'both');
      const both = async () => [...bodiesOf(one!), ...bodiesOf(other!)].sort();
      expect(await until(both, (seen) => seen.length >= first.length, 60_000)).toEqual([...first].sort());
      for (const consumer of [one!, other!]) expect(bodiesOf(consumer).length).toBeGreaterThan(0);

      await one!.stop();
      const killedMs = performance.now();
      await until(owners, (seen) => seen.length === before.length && new Set(seen).size === 1, 60_000);
      expect(performance.now() - killedMs).toBeLessThan(TAKEN_OVER_MS);
      const second = await produce(topic, 'left');
      const left = async () => bodiesOf(other!).filter((body) => body.startsWith('left-'));
      expect((await until(left, (seen) => seen.length >= second.length, 60_000)).sort()).toEqual([...second].sort());
      await other!.stop();
    },
    SCENARIO_MS,
  );
});
