// What Fulmar promises to the official clients, unmodified, whose connections break while they send: every message is
// sent, and a client that closes right after that does close. The client for Java needs help with it.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type LossyProxy, startLossyProxy } from '../conformance/lossy-proxy.ts';
import { languages } from './clients-languages.ts';
import { clientMatrix } from './clients-matrix.ts';
import { ClientProgram } from './clients-program.ts';
import { until } from './support/waiting.ts';

const MESSAGES = 100;
/** The client for Rust repeats no send. */
const repeating = languages.map(({ name }) => name).filter((name) => name !== 'rust');

const matrix = clientMatrix();
let network: LossyProxy;

beforeEach(async () => {
  network = await startLossyProxy(Number(new URL(`tcp://${matrix.endpoint}`).port));
});
afterEach(() => network.close());

test.each(repeating)(
  'a %s producer whose connection has just broken closes',
  async (name) => {
    const topic = `broken-${name}`;
    await matrix.fulmar('topic', 'create', topic);
    const words = ['--endpoint', `127.0.0.1:${network.port}`, '--topic', topic, '--prefix', name, '--concurrency', '1'];
    const program = new ClientProgram(name, ['client', 'produce', ...words, '--count', String(MESSAGES)]);
    const sent = () => program.events.filter(({ event }) => event === 'sent').length;
    await until('half of the messages are sent', () => sent() >= MESSAGES / 2);
    network.breakConnections();
    await program.until('done');
    expect(sent()).toBe(MESSAGES);
    let hasEnded = false;
    void program.finished.then(() => (hasEnded = true));
    await until('the client has closed', () => hasEnded);
  },
  150_000,
);
