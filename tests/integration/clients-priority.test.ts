// What Fulmar promises to the official clients about priorities, unmodified and with the settings that they have by
// themselves. FULMAR_MATRIX_LANGUAGES narrows the languages.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Language, languages, languagesWith } from './clients-languages.ts';
import { ClientProgram, type Outcome, stopAllPrograms } from './clients-program.ts';
import { fulmar, startServer } from './clients-server.ts';
import { endAll, run } from './commands.ts';

const MESSAGES = 20;
const PRIORITIES = 5;
const BUILD_MS = 1_200_000;
const SCENARIO_MS = 300_000;
const PATIENCE_S = 90;

let endpoint: string;

beforeAll(async () => {
  const { status, stderr } = await run(
    'tests/clients/build',
    languages.map(({ name }) => name),
  );
  if (status !== 0) throw new Error(stderr);
  endpoint = await startServer();
}, BUILD_MS);

afterAll(async () => {
  await stopAllPrograms();
  await endAll();
});

function start({ name }: Language, command: string, options: Record<string, string | number>): ClientProgram {
  const words = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
  return new ClientProgram(name, ['client', command, '--endpoint', endpoint, ...words]);
}

function prioritiesOf({ events }: Outcome): number[] {
  const received = events.filter(({ event }) => event === 'received');
  return received.map(({ body }) => 1 + (Number(body!.split('-')[1]) % PRIORITIES));
}

function expectCleanEnd({ status, output }: Outcome): void {
  expect({ status, output }).toEqual({ status: 0, output });
}

describe.each(languagesWith('priority'))('messages to which the $name client gives a priority', (language) => {
  async function play() {
    const topic = `ranks-${language.name}`;
    await fulmar(endpoint, 'topic', 'create', topic, '--type', 'priority');
    await fulmar(endpoint, 'group', 'create', topic, '--from', 'earliest');
    const sent = { topic, count: MESSAGES, prefix: 'rank', priorities: PRIORITIES };
    const sending = await start(language, 'produce', sent).finished;
    const reading = { topic, group: topic, expect: MESSAGES, timeout: PATIENCE_S };
    return { sending, receiving: await start(language, 'simple', reading).finished };
  }

  test(
    'reach its simple consumer in the order of their priorities',
    async () => {
      const { sending, receiving } = await play();
      expectCleanEnd(sending);
      expectCleanEnd(receiving);
      const priorities = prioritiesOf(receiving);
      expect(priorities).toHaveLength(MESSAGES);
      expect(priorities).toEqual([...priorities].sort((a, b) => b - a));
    },
    SCENARIO_MS,
  );

  test(
    'reach its push consumer, all of them and once',
    async () => {
      const topic = `ranks-push-${language.name}`;
      await fulmar(endpoint, 'topic', 'create', topic, '--type', 'priority');
      const reading = { topic, group: topic, expect: MESSAGES, timeout: PATIENCE_S };
      const listening = start(language, 'push', reading);
      await listening.until('ready');
      const sent = { topic, count: MESSAGES, prefix: 'rank', priorities: PRIORITIES };
      expectCleanEnd(await start(language, 'produce', sent).finished);
      const receiving = await listening.finished;
      expectCleanEnd(receiving);
      const each = Array.from({ length: MESSAGES }, (_, i) => 1 + (i % PRIORITIES));
      expect(prioritiesOf(receiving).sort()).toEqual(each.sort());
    },
    SCENARIO_MS,
  );
});
