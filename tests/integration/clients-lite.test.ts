// What Fulmar promises to the official clients about lite topics, unmodified and with the settings that they have by
// themselves: the lite producer and the lite consumers of each language that has them. FULMAR_MATRIX_LANGUAGES narrows
// the languages.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Language, languagesWith } from './clients-languages.ts';
import { type ClientOptions, clientMatrix, expectCleanEnd, numbered, SCENARIO_MS } from './clients-matrix.ts';
import type { ClientProgram, Outcome } from './clients-program.ts';

const COUNT = 12;
const TOPIC = 'chats';
const matrix = clientMatrix();
const { fulmar } = matrix;

const producers = languagesWith('lite producer');
const pushers = languagesWith('lite push consumer');
const simples = languagesWith('lite simple consumer');

beforeAll(async () => {
  await fulmar('topic', 'create', TOPIC, '--type', 'lite', '--lite-expiration', '2h');
}, SCENARIO_MS);

function start(language: Language, command: string, options: ClientOptions): ClientProgram {
  return matrix.start(language, command, { topic: TOPIC, ...options });
}

/** Bodies of the messages that were acknowledged, of one lite topic, in the order in which that happened. */
function acknowledged({ events }: Outcome, prefix: string): string[] {
  const mine = events.filter(({ event, body }) => event === 'received' && body?.startsWith(`${prefix}-`));
  return mine.filter(({ result }) => result === 'ack').map(({ body }) => body ?? '');
}

/** Of every producer two lite topics that consumers read, and one that nobody reads. */
const READ = producers.flatMap(({ name }) => [`${name}-a`, `${name}-b`]);

let played: Promise<{ readonly sent: Map<string, Outcome>; readonly received: Map<string, Outcome> }> | undefined;

function everyone() {
  played ??= (async () => {
    const consumers = new Map<string, ClientProgram>();
    const reading = { 'lite-topics': READ.join(','), expect: READ.length * COUNT, timeout: 150, linger: 5 };
    const failing = { 'fail-first-attempt': 5 };
    for (const language of pushers) {
      const group = `lite-push-${language.name}`;
      consumers.set(`push ${language.name}`, start(language, 'lite-push', { group, ...reading, ...failing }));
    }
    for (const language of simples) {
      const group = `lite-simple-${language.name}`;
      consumers.set(`simple ${language.name}`, start(language, 'lite-simple', { group, ...reading }));
    }
    await Promise.allSettled([...consumers.values()].map((program) => program.until('ready')));
    const sending = producers.flatMap((language) =>
      ['a', 'b', 'unread'].map((suffix) => {
        const name = `${language.name}-${suffix}`;
        return [name, start(language, 'produce', { count: COUNT, prefix: name, 'lite-topic': name })] as const;
      }),
    );
    const sent = new Map<string, Outcome>();
    for (const [name, program] of sending) sent.set(name, await program.finished);
    const received = new Map<string, Outcome>();
    for (const [name, program] of consumers) received.set(name, await program.finished);
    return { sent, received };
  })();
  return played;
}

describe('lite topics with official clients', () => {
  test.each(producers)(
    'the lite producer of $name makes lite topics by sending to them',
    async ({ name }) => {
      const { sent } = await everyone();
      for (const suffix of ['a', 'b', 'unread']) expectCleanEnd(sent.get(`${name}-${suffix}`)!);
      const listed: { name: string; messages: number }[] = JSON.parse(await fulmar('topic', 'lite', TOPIC, '--json'));
      const mine = listed.filter((each) => each.name.startsWith(`${name}-`));
      expect(mine.map((each) => [each.name, each.messages])).toEqual(
        ['a', 'b', 'unread'].map((suffix) => [`${name}-${suffix}`, COUNT]),
      );
    },
    SCENARIO_MS,
  );

  const consumers = [
    ...pushers.map(({ name }) => ['push', name] as const),
    ...simples.map(({ name }) => ['simple', name] as const),
  ];
  test.each(consumers)(
    'the lite %s consumer of %s gets its lite topics, each in order, all of it once, and no other',
    async (kind, name) => {
      const outcome = (await everyone()).received.get(`${kind} ${name}`)!;
      for (const prefix of READ) expect(acknowledged(outcome, prefix)).toEqual(numbered(prefix, COUNT));
      expect(outcome.events.filter(({ body }) => body?.includes('unread'))).toEqual([]);
      expectCleanEnd(outcome);
    },
    SCENARIO_MS,
  );

  test(
    'afterwards no group has anything left of what it reads',
    async () => {
      await everyone();
      const lag: { group: string; readyMessages: number; inFlightMessages: number }[] = JSON.parse(
        await fulmar('lag', '--json'),
      );
      const lite = lag.filter(({ group }) => group.startsWith('lite-'));
      expect(lite).toHaveLength(consumers.length);
      expect(lite.filter(({ readyMessages, inFlightMessages }) => readyMessages + inFlightMessages > 0)).toEqual([]);
    },
    SCENARIO_MS,
  );

  test.each(pushers)(
    'in an exclusive group a lite topic goes from another consumer to one of $name that comes later',
    async (language) => {
      const other = pushers[(pushers.indexOf(language) + 1) % pushers.length]!;
      const group = `exclusive-${language.name}`;
      const liteTopic = `${group}-chat`;
      await fulmar('group', 'create', group, '--lite-topic', TOPIC, '--lite-exclusive');
      const reading = { group, 'lite-topics': liteTopic, expect: COUNT, linger: 3 };
      const older = start(other, 'lite-push', { ...reading, timeout: 100 });
      await older.until('ready');
      const newer = start(language, 'lite-push', { ...reading, timeout: 60 });
      await newer.until('ready');
      const prefix = liteTopic;
      expectCleanEnd(await start(producers[0]!, 'produce', { count: COUNT, prefix, 'lite-topic': liteTopic }).finished);
      const outcome = await newer.finished;
      await older.stop();
      expect(acknowledged(outcome, prefix)).toEqual(numbered(prefix, COUNT));
      expect(acknowledged(await older.finished, prefix)).toEqual([]);
    },
    SCENARIO_MS,
  );
});
