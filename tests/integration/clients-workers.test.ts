// What Fulmar promises to the official clients, unmodified, at a proxy of several workers: they send and receive, and a
// worker that is killed under them costs no message. See clients.test.ts for the settings.
import { expect, test } from '@jest/globals';
import { languagesWith } from './clients-languages.ts';
import { bodiesOf, buildClients, expectCleanEnd, numbered, SCENARIO_MS } from './clients-matrix.ts';
import { ClientProgram } from './clients-program.ts';
import { administer } from './support/administration.ts';
import { childrenOf } from './support/child-processes.ts';
import { openWorkers, startProxyOfWorkers, TOPIC, WORKERS } from './support/proxy-of-workers.ts';
import { until } from './support/waiting.ts';

const MESSAGES = 1_000;

buildClients();

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
    // The start of a client for Java fails when its connection breaks meanwhile.
    await Promise.all(sending.map((program) => program.until('ready')));
    const hasReceived = (part: number) => () =>
      receiving.every(({ events }) => events.filter(({ event }) => event === 'received').length >= MESSAGES * part);
    for (let number = 0; number < WORKERS; number++) {
      await until('messages arrive', hasReceived(0.1 * (number + 1)), SCENARIO_MS / 4);
      process.kill(childrenOf(proxy.pid)[0]!, 'SIGKILL');
      await until('it runs again', async () => (await openWorkers(proxy)) === WORKERS);
    }
    for (const { finished } of [...sending, ...receiving]) expectCleanEnd(await finished);
    for (const program of receiving) {
      const bodies = new Set(bodiesOf(program));
      for (const name of consumers) for (const body of numbered(name, MESSAGES)) expect(bodies).toContain(body);
    }
  },
  SCENARIO_MS,
);
