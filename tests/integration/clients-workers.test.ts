// What Fulmar promises to the official clients, unmodified, at a proxy of several workers: they send and receive, and a
// worker that is killed under them costs no message. See clients.test.ts for the settings.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { languages, languagesWith } from './clients-languages.ts';
import { ClientProgram, stopAllPrograms } from './clients-program.ts';
import { endAll, run } from './commands.ts';
import { administer } from './support/administration.ts';
import { childrenOf } from './support/child-processes.ts';
import { openWorkers, startProxyOfWorkers, TOPIC, WORKERS } from './support/proxy-of-workers.ts';
import { until } from './support/waiting.ts';

const BUILD_MS = 1_200_000;
const SCENARIO_MS = 600_000;
const MESSAGES = 400;

beforeAll(async () => {
  const names = languages.map(({ name }) => name);
  const { status, stderr } = await run('tests/clients/build', names);
  if (status !== 0) throw new Error(stderr);
}, BUILD_MS);

afterAll(async () => {
  await stopAllPrograms();
  await endAll();
});

test(
  'every client sends and receives at a proxy of several workers, also while these are killed one after the other',
  async () => {
    const { proxy } = await startProxyOfWorkers();
    const consumers = languagesWith('push consumer').map(({ name }) => name);
    await administer({ proxy: proxy.address }, async (administration) => {
      for (const name of consumers) await administration.createGroup(`readers-${name}`, { fromEarliest: true });
    });
    const start = (language: string, command: string, ...options: string[]): ClientProgram =>
      new ClientProgram(language, ['client', command, '--endpoint', proxy.address, '--topic', TOPIC, ...options]);
    const all = String(MESSAGES * consumers.length);
    const receiving = consumers.map((name) =>
      start(name, 'push', '--group', `readers-${name}`, '--expect', all, '--timeout', '400'),
    );
    await Promise.all(receiving.map((program) => program.until('ready')));
    const sending = consumers.map((name) => start(name, 'produce', '--count', String(MESSAGES), '--prefix', name));
    const hasReceived = (part: number) => () =>
      receiving.every(({ events }) => events.filter(({ event }) => event === 'received').length >= MESSAGES * part);
    for (let number = 0; number < WORKERS; number++) {
      await until('messages arrive', hasReceived(0.1 * (number + 1)), SCENARIO_MS / 4);
      process.kill(childrenOf(proxy.pid)[0]!, 'SIGKILL');
      await until('it runs again', async () => (await openWorkers(proxy)) === WORKERS);
    }
    for (const { finished } of [...sending, ...receiving]) {
      const { status, output } = await finished;
      expect({ status, output }).toEqual({ status: 0, output });
    }
    for (const { events } of receiving) {
      const bodies = new Set(events.flatMap(({ event, body }) => (event === 'received' ? [body] : [])));
      for (const name of consumers) for (let i = 0; i < MESSAGES; i++) expect(bodies).toContain(`${name}-${i}`);
    }
  },
  SCENARIO_MS,
);
