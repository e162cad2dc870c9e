// What `scripts/run` with sets and replicas promises: a process for each replica that may be killed, that comes back,
// and that never outlives the cluster.
import { afterEach, expect, test } from '@jest/globals';
import { type Command, endAll, run, start, temporaryDirectory } from './commands.ts';
import { until } from './support/waiting.ts';

const TEST_MS = 120_000;

interface Line {
  readonly proxy: { readonly host: string; readonly port: number };
  readonly brokers: readonly { readonly set: string; readonly replica: string; readonly pid: number }[];
}

interface Row {
  readonly set: string;
  readonly replica: string;
  readonly role: string;
  readonly epoch: number;
  readonly inSync: boolean;
}

afterEach(endAll, 60_000);

async function startCluster(...flags: string[]): Promise<{ readonly command: Command; readonly line: Line }> {
  const ports = ['--proxy-port', '--nameserver-port', '--http-port'].flatMap((flag) => [flag, '0']);
  const command = start('scripts/run', ['--json', '--no-demo', '--data-dir', temporaryDirectory(), ...ports, ...flags]);
  return { command, line: JSON.parse(await command.firstLine) };
}

async function fulmar({ proxy }: Line, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await run('scripts/fulmar', [
    ...words,
    ...['--endpoint', `${proxy.host}:${proxy.port}`],
  ]);
  if (status !== 0) throw new Error(`fulmar ${words.join(' ')} ended with ${status}:\n${stderr}${stdout}`);
  return stdout;
}

async function rows(line: Line): Promise<readonly Row[]> {
  return JSON.parse(await fulmar(line, 'broker', 'list', '--json'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test(
  'a master that is killed is followed by another, nothing is lost, and it comes back as a slave',
  async () => {
    const { command, line } = await startCluster('--replicas', '3');
    const before = (await rows(line)).find(({ role }) => role === 'master')!;
    await fulmar(line, 'send', 'letters', 'before');
    process.kill(line.brokers.find(({ replica }) => replica === before.replica)!.pid, 'SIGKILL');
    await fulmar(line, 'send', 'letters', 'after');
    await until('three replicas are in sync under another master', async () => {
      const now = await rows(line);
      const isLed = now.some(({ role, epoch }) => role === 'master' && epoch > before.epoch);
      return isLed && now.filter(({ inSync }) => inSync).length === 3;
    });
    const received = await fulmar(line, 'receive', 'letters', '--group', 'readers', '--from', 'earliest', '--max', '2');
    expect(received).toContain('before');
    expect(received).toContain('after');
    const { status, stderr } = await command.end();
    expect(status).toBe(0);
    expect(stderr).toContain('has ended: SIGKILL. It is started again');
  },
  TEST_MS,
);

test(
  'a set is handed over to the replica that is named',
  async () => {
    const { line } = await startCluster('--replicas', '2');
    const slave = (await rows(line)).find(({ role }) => role === 'slave')!.replica;
    const told = await fulmar(line, 'broker', 'step-down', 'set-0', '--to', slave);
    expect(told).toContain(`Broker set set-0 is led by ${slave} now`);
    expect((await rows(line)).find(({ role }) => role === 'master')?.replica).toBe(slave);
  },
  TEST_MS,
);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'no replica outlives a cluster that was ended with %s',
  async (signal) => {
    const { command, line } = await startCluster('--sets', '2');
    expect(line.brokers.map(({ set, replica }) => `${set}/${replica}`)).toEqual(['set-0/replica-0', 'set-1/replica-0']);
    expect(line.brokers.every(({ pid }) => isAlive(pid))).toBe(true);
    await command.end(signal);
    await until('every replica has ended', () => !line.brokers.some(({ pid }) => isAlive(pid)));
  },
  TEST_MS,
);
