// What `scripts/run` and the commands of the services promise to the people and programs that start them.

import { connect } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { type Command, endAll, run, start, temporaryDirectory } from './commands.ts';

const START_MS = 60_000;
const TEST_MS = 120_000;
/** Within this time of a SIGTERM everything has ended in good order. */
const END_MS = 8_000;

const SERVICES = ['nameserver', 'broker', 'proxy'] as const;
const RUN_FLAGS = ['--proxy-port', '--nameserver-port', '--broker-port', '--http-port'] as const;

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Cluster {
  readonly command: Command;
  readonly line: Readonly<Record<'proxy' | 'nameserver' | 'broker' | 'http', Address>> & { readonly pid: number };
  /** The proxy as the command line wants it. */
  readonly proxy: string;
}

afterEach(endAll, START_MS);

async function startCluster(dataDirectory: string, environment: Record<string, string> = {}): Promise<Cluster> {
  const ports = RUN_FLAGS.flatMap((flag) => (environment[variableOf(flag)] === undefined ? [flag, '0'] : []));
  const flags = ['--json', '--no-demo', '--data-dir', dataDirectory, ...ports];
  const command = start('scripts/run', flags, environment);
  const line = JSON.parse(await command.firstLine);
  return { command, line, proxy: `${line.proxy.host}:${line.proxy.port}` };
}

function variableOf(flag: string): string {
  return `FULMAR_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`;
}

async function fulmar(cluster: Cluster, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await run('scripts/fulmar', [...words, '--endpoint', cluster.proxy]);
  if (status !== 0) throw new Error(`fulmar ${words.join(' ')} ended with ${status}:\n${stderr}${stdout}`);
  return stdout;
}

function answers({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.on('connect', () => resolve(true));
    socket.on('connect', () => socket.end());
    socket.on('error', () => resolve(false));
  });
}

/** A flag that is nearly `flag`: one letter is missing. */
function misspelled(flag: string): string {
  return flag.slice(0, -2) + flag.slice(-1);
}

test(
  'run --json says in one line where everything is, when all of it answers, and prints nothing else',
  async () => {
    const { command, line } = await startCluster(temporaryDirectory());
    const address = { host: expect.any(String), port: expect.any(Number) };
    expect(line).toMatchObject({ proxy: address, nameserver: address, broker: address, http: address });
    expect(line.pid).toBe(command.pid);
    const addresses = [line.proxy, line.nameserver, line.broker, line.http];
    expect(await Promise.all(addresses.map(answers))).toEqual([true, true, true, true]);
    expect(new Set(addresses.map(({ port }) => port)).size).toBe(4);

    const { stdout } = await command.end();
    expect(stdout.split('\n')).toEqual([expect.stringMatching(/^\{.*\}$/), '']);
  },
  TEST_MS,
);

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends a cluster with status 0 within seconds',
  async (signal) => {
    const { command } = await startCluster(temporaryDirectory());
    const began = performance.now();
    expect(await command.end(signal)).toMatchObject({ status: 0 });
    expect(performance.now() - began).toBeLessThan(END_MS);
  },
  TEST_MS,
);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'what was sent before %s is received after the next start',
  async (signal) => {
    const data = temporaryDirectory();
    const first = await startCluster(data);
    await fulmar(first, 'topic', 'create', 'letters');
    await fulmar(first, 'send', 'letters', 'written before the restart');
    await first.command.end(signal);

    const second = await startCluster(data);
    const received = await fulmar(second, 'receive', 'letters', '--group', 'readers', '--from', 'earliest');
    expect(received).toContain('written before the restart');
  },
  TEST_MS,
);

test(
  'a flag of run may be given as an environment variable as well',
  async () => {
    const free = await startCluster(temporaryDirectory());
    await free.command.end();
    const port = String(free.line.proxy.port);
    const { line } = await startCluster(temporaryDirectory(), { [variableOf('--proxy-port')]: port });
    expect(String(line.proxy.port)).toBe(port);
  },
  TEST_MS,
);

test(
  'a second cluster on the same data is refused, with a reason',
  async () => {
    const data = temporaryDirectory();
    await startCluster(data);
    const second = await run('scripts/run', [
      '--json',
      '--no-demo',
      '--data-dir',
      data,
      ...RUN_FLAGS.flatMap(zeroPort),
    ]);
    expect(second).toMatchObject({ status: 1, stdout: '' });
    expect(second.stderr).toContain(data);
  },
  TEST_MS,
);

function zeroPort(flag: string): string[] {
  return [flag, '0'];
}

test(
  'a port that is taken is named',
  async () => {
    const { line } = await startCluster(temporaryDirectory());
    const port = String(line.http.port);
    const flags = RUN_FLAGS.flatMap((flag) => [flag, flag === '--http-port' ? port : '0']);
    const second = await run('scripts/run', ['--json', '--no-demo', '--data-dir', temporaryDirectory(), ...flags]);
    expect(second).toMatchObject({ status: 1, stdout: '' });
    expect(second.stderr).toContain(port);
  },
  TEST_MS,
);

test(
  'run --help tells of every flag, on stdout, and starts nothing',
  async () => {
    const { status, stdout } = await run('scripts/run', ['--help']);
    expect(status).toBe(0);
    for (const flag of [...RUN_FLAGS, '--data-dir', '--json', '--no-demo']) expect(stdout).toContain(flag);
    expect(stdout).toContain(variableOf('--proxy-port'));
  },
  TEST_MS,
);

test(
  'a flag that run does not know ends it with status 2 and the nearest one',
  async () => {
    const { status, stdout, stderr } = await run('scripts/run', [misspelled('--proxy-port'), '1']);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('--proxy-port');
  },
  TEST_MS,
);

test(
  'a command that fulmar does not know ends it with status 2 and the nearest one',
  async () => {
    const { status, stderr } = await run('scripts/fulmar', ['recieve']);
    expect(status).toBe(2);
    expect(stderr).toContain('receive');
  },
  TEST_MS,
);

test.each(SERVICES)(
  '%s --help tells of its settings, and a flag it does not know ends it with status 2 and the nearest one',
  async (service) => {
    const help = await run('scripts/fulmar', [service, '--help']);
    expect(help).toMatchObject({ status: 0, stderr: '' });
    const flag = /--[a-z][a-z-]{4,}/.exec(help.stdout.replaceAll('--help', ''))?.[0] ?? '';
    expect(flag).not.toBe('');

    const wrong = await run('scripts/fulmar', [service, misspelled(flag), '1']);
    expect({ status: wrong.status, stdout: wrong.stdout }).toEqual({ status: 2, stdout: '' });
    expect(wrong.stderr).toContain(flag);
  },
  TEST_MS,
);
