// What Fulmar promises to the official clients, unmodified and with the settings that they have by themselves: each
// runs here as a process of its own, from its newest published package. FULMAR_MATRIX_COUNT makes the runs shorter,
// FULMAR_MATRIX_LANGUAGES narrows them.
import { describe, expect, test } from '@jest/globals';
import { kinds, type Language, languages, languagesWith, unsupportedByClient } from './clients-languages.ts';
import { clientMatrix, expectCleanEnd, numbered, SCENARIO_MS } from './clients-matrix.ts';
import { type ClientEvent, ClientProgram, type Outcome } from './clients-program.ts';
import { watch } from './clients-server.ts';

const COUNT = Number(process.env.FULMAR_MATRIX_COUNT ?? 1000);
/** How long a consumer waits for its messages: time for slow clients on a busy machine, and then for the messages. */
const PATIENCE_S = String(90 + Math.ceil(COUNT / 10));

const pushLanguages = languagesWith('push consumer');
const simpleLanguages = languagesWith('simple consumer');
const names = languages.map(({ name }) => name);
const matrix = clientMatrix();
const { start, fulmar } = matrix;

/** How far a group is behind, as the command line tells it. */
interface Lag {
  readonly group: string;
  readonly topic: string;
  readonly readyMessages: number;
  readonly inFlightMessages: number;
}

/** Waits until each has started, or has failed to: that shows in its own outcome, and must not hide the others'. */
async function allReady(programs: Iterable<ClientProgram>): Promise<void> {
  await Promise.allSettled([...programs].map((program) => program.until('ready')));
}

async function outcomes<Key>(programs: ReadonlyMap<Key, ClientProgram>): Promise<Map<Key, Outcome>> {
  return new Map(await Promise.all([...programs].map(async ([key, { finished }]) => [key, await finished] as const)));
}

/** A scenario that several tests look at is played once. */
function once<Result>(play: () => Promise<Result>): () => Promise<Result> {
  let played: Promise<Result> | undefined;
  return () => {
    played ??= play();
    return played;
  };
}

function received({ events }: Outcome, prefix: string): ClientEvent[] {
  return events.filter(({ event, body }) => event === 'received' && body?.startsWith(`${prefix}-`));
}

function outcomeOf<Key>(of: ReadonlyMap<Key, Outcome>, key: Key): Outcome {
  const outcome = of.get(key);
  if (outcome === undefined) throw new Error(`${String(key)} did not take part`);
  return outcome;
}

describe('every client understands every other', () => {
  const everyone = once(async () => {
    const pushers = new Map<string, ClientProgram>();
    const topic = names.map((producer) => `matrix-${producer}`).join(',');
    for (const consumer of pushLanguages) {
      const options = { topic, group: `matrix-push-${consumer.name}`, expect: COUNT * names.length };
      pushers.set(consumer.name, start(consumer, 'push', { ...options, timeout: SCENARIO_MS / 1000 }));
    }
    await allReady(pushers.values());

    const producers = new Map<string, Outcome>();
    const simples = new Map<string, Outcome>();
    for (const producer of languages) {
      const topic = `matrix-${producer.name}`;
      const round = new Map<string, ClientProgram>();
      for (const consumer of simpleLanguages) {
        const group = `${topic}-simple-${consumer.name}`;
        const options = { topic, group, expect: COUNT, timeout: PATIENCE_S };
        round.set(`${producer.name} to ${consumer.name}`, start(consumer, 'simple', options));
      }
      await allReady(round.values());
      const sending = start(producer, 'produce', { topic, count: COUNT, prefix: producer.name });
      producers.set(producer.name, await sending.finished);
      for (const [key, outcome] of await outcomes(round)) simples.set(key, outcome);
    }
    return { producers, simples, pushers: await outcomes(pushers) };
  });

  function expectAllOnce(prefix: string, sending: Outcome, receiving: Outcome): void {
    const sent = sending.events.filter(({ event }) => event === 'sent');
    const byBody = (one: ClientEvent, other: ClientEvent) => ((one.body ?? '') < (other.body ?? '') ? -1 : 1);
    const essence = ({ id, body }: ClientEvent) => `${body} ${id}`;
    const got = received(receiving, prefix).sort(byBody).map(essence);
    if (got.length !== COUNT) throw new Error(`${got.length} of ${COUNT} messages:\n${receiving.output}`);
    expect(got).toEqual(sent.sort(byBody).map(essence));
  }

  test.each(names)(
    `the %s producer sends ${COUNT} messages, and each is confirmed`,
    async (producer) => {
      const sending = outcomeOf((await everyone()).producers, producer);
      expectCleanEnd(sending);
      const sent = sending.events.filter(({ event }) => event === 'sent').map(({ body }) => body);
      expect(sent.sort()).toEqual(numbered(producer, COUNT).sort());
    },
    SCENARIO_MS,
  );

  const simplePairs = languages.flatMap(({ name }) => simpleLanguages.map((consumer) => [name, consumer.name]));
  test.each(simplePairs)(
    'what %s sends, the simple consumer of %s receives: all of it, once, unchanged',
    async (producer, consumer) => {
      const { producers, simples } = await everyone();
      const receiving = outcomeOf(simples, `${producer} to ${consumer}`);
      expectAllOnce(`${producer}`, outcomeOf(producers, `${producer}`), receiving);
      expectCleanEnd(receiving);
    },
    SCENARIO_MS,
  );

  const pushPairs = languages.flatMap(({ name }) => pushLanguages.map((consumer) => [name, consumer.name]));
  test.each(pushPairs)(
    'what %s sends, the push consumer of %s receives: all of it, once, unchanged',
    async (producer, consumer) => {
      const { producers, pushers } = await everyone();
      expectAllOnce(`${producer}`, outcomeOf(producers, `${producer}`), outcomeOf(pushers, `${consumer}`));
    },
    SCENARIO_MS,
  );

  test.each(pushLanguages)(
    'the push consumer of $name, with a subscription to many topics, starts and ends in good order',
    async ({ name }) => expectCleanEnd(outcomeOf((await everyone()).pushers, name)),
    SCENARIO_MS,
  );

  test(
    'afterwards no group has anything left to receive or to acknowledge',
    async () => {
      await everyone();
      const lag: Lag[] = JSON.parse(await fulmar('lag', '--json'));
      const left = lag.filter(({ group }) => group.startsWith('matrix-'));
      expect(left.length).toBe(simplePairs.length + pushPairs.length);
      expect(left.filter(({ readyMessages, inFlightMessages }) => readyMessages + inFlightMessages > 0)).toEqual([]);
    },
    SCENARIO_MS,
  );

  test('no cell of the matrix is left out but those that a published client cannot fill', () => {
    const cells = languages.length * kinds.length;
    const filled = kinds.reduce((sum, kind) => sum + languagesWith(kind).length, 0);
    const missing = unsupportedByClient.filter(({ language }) => names.includes(language));
    process.stderr.write(`unsupportedByClient: ${missing.length} of ${cells} cells\n`);
    for (const { language, kind, reason, reference } of missing)
      process.stderr.write(`  ${language}, ${kind}: ${reason}; see ${reference}\n`);
    expect(filled + missing.length).toBe(cells);
  });
});

test(
  'clients that begin with TLS and clients that begin in plaintext are served on the same port at the same time',
  async () => {
    const used = await Promise.all(
      languages.map(async (language) => {
        const watched = await watch(matrix.endpoint);
        const words = ['--endpoint', watched.endpoint, '--topic', 'transport', '--prefix', language.name];
        const sending = await new ClientProgram(language.name, ['client', 'produce', ...words]).finished;
        watched.close();
        expectCleanEnd(sending);
        return [language.name, [...watched.transports]];
      }),
    );
    expect(used).toEqual(languages.map(({ name, transport }) => [name, [transport]]));
  },
  SCENARIO_MS,
);

describe('a message that a listener fails', () => {
  const MESSAGES = 6;
  const EVERY = 3;

  const failingOnce = () =>
    eachPushLanguage(async (language) => {
      const topic = `retry-${language.name}`;
      await fulmar('group', 'create', topic, '--max-attempts', '3');
      const options = { topic, group: topic, expect: MESSAGES, timeout: PATIENCE_S };
      const listening = start(language, 'push', { ...options, 'fail-first-attempt': EVERY });
      await allReady([listening]);
      await start(language, 'produce', { topic, count: MESSAGES, prefix: 'retry' }).finished;
      return listening.finished;
    });

  /** Both at once: most of their time passes while clients that end wait for their last poll. */
  const failing = once(async () => {
    const [first, always] = await Promise.all([failingOnce(), failingAlways()]);
    return { first, always };
  });

  test.each(pushLanguages)(
    'comes back to the $name client as its second attempt, and the others do not',
    async ({ name }) => {
      const listening = outcomeOf((await failing()).first, name);
      expectCleanEnd(listening);
      const attempts = numbered('retry', MESSAGES).map((body) =>
        received(listening, 'retry')
          .filter((event) => event.body === body)
          .map(({ attempt, result }) => `${result} ${attempt}`),
      );
      const expected = attempts.map((_, index) => (index % EVERY === 0 ? ['fail 1', 'ack 2'] : ['ack 1']));
      expect(attempts).toEqual(expected);
    },
    SCENARIO_MS,
  );

  const failingAlways = () =>
    eachPushLanguage(async (language) => {
      const topic = `dead-${language.name}`;
      const reader = `${topic}-reader`;
      await fulmar('group', 'create', topic, '--max-attempts', '3');
      await fulmar('group', 'create', reader, '--from', 'earliest');
      const options = { topic, group: topic, expect: 2 * 3, timeout: PATIENCE_S, linger: 3 };
      const listening = start(language, 'push', { ...options, 'fail-always': true });
      await allReady([listening]);
      await start(language, 'produce', { topic, count: 2, prefix: 'dead' }).finished;
      await listening.finished;
      const reading = { topic: `%DLQ%${topic}`, group: reader, expect: 2, timeout: 60 };
      const dead = await start(language, 'simple', reading).finished;
      return { ...dead, listening: await listening.finished };
    });

  test.each(pushLanguages)(
    'every time is tried as often as its group allows, and then lies in the dead-letter topic for the $name client',
    async ({ name }) => {
      const dead = (await failing()).always.get(name);
      if (dead === undefined) throw new Error(`${name} did not take part`);
      expectCleanEnd(dead.listening);
      for (const body of numbered('dead', 2)) {
        const deliveries = received(dead.listening, 'dead').filter((event) => event.body === body);
        expect(deliveries.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      }
      expectCleanEnd(dead);
      expect(
        received(dead, 'dead')
          .map(({ body }) => body)
          .sort(),
      ).toEqual(numbered('dead', 2));
    },
    SCENARIO_MS,
  );

  async function eachPushLanguage<Result>(
    play: (language: Language) => Promise<Result>,
  ): Promise<ReadonlyMap<string, Result>> {
    return new Map(
      await Promise.all(pushLanguages.map(async (language) => [language.name, await play(language)] as const)),
    );
  }
});

describe('a subscription with an SQL expression', () => {
  const MESSAGES = 30;
  const consumers = [
    ...pushLanguages.map((language) => ({ language, kind: 'push' })),
    ...simpleLanguages.map((language) => ({ language, kind: 'simple' })),
  ];
  const expected = Array.from({ length: 10 }, (_, i) => `sql-${i + 10}`);
  const sql = "TAGS = 'counted' AND number BETWEEN 10 AND 19";

  const filtered = once(async () => {
    const programs = new Map<string, ClientProgram>();
    for (const { language, kind } of consumers) {
      const options = { topic: `sql-${language.name}`, expect: expected.length, timeout: PATIENCE_S, sql };
      const group = `sql-${kind}-${language.name}`;
      programs.set(`${kind} ${language.name}`, start(language, kind, { ...options, group }));
    }
    await allReady(programs.values());
    for (const language of languages) {
      const options = { topic: `sql-${language.name}`, count: MESSAGES, prefix: 'sql', tag: 'counted' };
      await start(language, 'produce', { ...options, property: 'number' }).finished;
    }
    return outcomes(programs);
  });

  test.each(consumers.map(({ language, kind }) => `${kind} ${language.name}`))(
    'gives the consumer exactly the messages whose properties it asks for: %s',
    async (consumer) => {
      const receiving = outcomeOf(await filtered(), consumer);
      expectCleanEnd(receiving);
      const bodiesReceived = received(receiving, 'sql').map(({ body }) => body);
      expect(bodiesReceived.sort()).toEqual(expected);
    },
    SCENARIO_MS,
  );

  test(
    'leaves nothing behind: what it does not ask for is settled for the group',
    async () => {
      await filtered();
      const lag: Lag[] = JSON.parse(await fulmar('lag', '--json'));
      const left = lag.filter(({ group }) => group.startsWith('sql-'));
      expect(left.length).toBe(consumers.length);
      expect(left.filter(({ readyMessages, inFlightMessages }) => readyMessages + inFlightMessages > 0)).toEqual([]);
    },
    SCENARIO_MS,
  );
});

describe('messages of one message group', () => {
  const MESSAGES = 100;

  const inOrder = once(async () => {
    const topics = names.map((name) => `ordered-${name}`);
    for (const topic of topics) await fulmar('topic', 'create', topic, '--type', 'fifo');
    const listeners = new Map<string, ClientProgram>();
    for (const language of pushLanguages) {
      const group = `ordered-push-${language.name}`;
      await fulmar('group', 'create', group, '--fifo');
      const options = { topic: topics.join(','), group, expect: MESSAGES * topics.length, timeout: PATIENCE_S };
      listeners.set(language.name, start(language, 'push', options));
    }
    await allReady(listeners.values());
    for (const language of languages) {
      const { name } = language;
      const options = { topic: `ordered-${name}`, count: MESSAGES, prefix: name, 'group-key': `customer-of-${name}` };
      await start(language, 'produce', options).finished;
    }
    return outcomes(listeners);
  });

  const pairs = languages.flatMap(({ name }) => pushLanguages.map((consumer) => [name, consumer.name]));
  test.each(pairs)(
    'that %s sends one after the other reach the push consumer of %s in this order',
    async (producer, consumer) => {
      const listening = outcomeOf(await inOrder(), `${consumer}`);
      const order = received(listening, `${producer}`).map(({ body }) => body);
      if (order.length !== MESSAGES) throw new Error(`${order.length} of ${MESSAGES} messages:\n${listening.output}`);
      expect(order).toEqual(numbered(`${producer}`, MESSAGES));
    },
    SCENARIO_MS,
  );
});

describe('delayed messages', () => {
  const MESSAGES = 9;
  const EVERY = 3;
  const DELAY_S = 6;
  /** Some clients write a time in whole seconds. */
  const EARLY_MS = 1_100;
  const recalling = languagesWith('recall');

  const delayed = once(async () => {
    const programs = new Map<string, { readonly sending: Outcome; readonly receiving: Outcome }>();
    const play = async (language: Language): Promise<void> => {
      const topic = `later-${language.name}`;
      await fulmar('topic', 'create', topic, '--type', 'delay');
      await fulmar('group', 'create', topic, '--from', 'earliest');
      const recalls = recalling.includes(language);
      const expect = recalls ? MESSAGES - MESSAGES / EVERY : MESSAGES;
      const listening = start(language, 'simple', { topic, group: topic, expect, timeout: PATIENCE_S, linger: 3 });
      await allReady([listening]);
      const options = { topic, count: MESSAGES, prefix: 'later', delay: DELAY_S };
      const sent = recalls ? { ...options, 'recall-every': EVERY } : options;
      const sending = await start(language, 'produce', sent).finished;
      programs.set(language.name, { sending, receiving: await listening.finished });
    };
    await Promise.all(languages.map(play));
    return programs;
  });

  test.each(languages)(
    'of $name come when they are due, and not before',
    async ({ name }) => {
      const { sending, receiving } = (await delayed()).get(name)!;
      expectCleanEnd(sending);
      expectCleanEnd(receiving);
      const sent = new Map(sending.events.map(({ event, body, seenAtMs }) => [`${event} ${body}`, seenAtMs]));
      const came = received(receiving, 'later');
      expect(new Set(came.map(({ body }) => body)).size).toBe(came.length);
      for (const { body, seenAtMs } of came) {
        expect(seenAtMs - sent.get(`sent ${body}`)!).toBeGreaterThan(DELAY_S * 1_000 - EARLY_MS);
      }
    },
    SCENARIO_MS,
  );

  test.each(recalling)(
    'of $name arrive once, and those that it recalls never do',
    async ({ name }) => {
      const { sending, receiving } = (await delayed()).get(name)!;
      expectCleanEnd(sending);
      const recalled = sending.events.filter(({ event }) => event === 'recalled').map(({ body }) => body!);
      expect(recalled.sort()).toEqual(numbered('later', MESSAGES).filter((_, index) => index % EVERY === 0));
      expectCleanEnd(receiving);
      const expected = numbered('later', MESSAGES).filter((body) => !recalled.includes(body));
      const came = received(receiving, 'later').map(({ body }) => body);
      expect(came.sort()).toEqual(expected.sort());
    },
    SCENARIO_MS,
  );
});

test.each(names)(
  'the %s snippet of the manual sends a message and receives it',
  async (name) => {
    const { status, output } = await new ClientProgram(name, ['snippet', matrix.endpoint]).finished;
    expect({ status, output }).toEqual({ status: 0, output: expect.stringMatching(/^sent \w+$/m) });
    expect(output).toMatch(/^received Hello, Fulmar!$/m);
  },
  SCENARIO_MS,
);
