// What the services say of themselves, as processes, from their first moment on.
import { execFileSync } from 'node:child_process';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { endAll, temporaryDirectory } from './commands.ts';
import { freePort, startService } from './support/services.ts';
import { until } from './support/waiting.ts';

const TEST_MS = 120_000;

afterEach(endAll, 60_000);

test(
  'a broker whose disk hangs while it starts is alive, says what it waits for, and is not ready',
  async () => {
    const directory = temporaryDirectory();
    const flags = ['--data-dir', directory, '--nameservers', `127.0.0.1:${await freePort()}`];
    const before = await startService('broker', flags);
    await until('the broker has started', async () => (await before.probe('/startupz'))?.status === 200);
    expect((await before.end()).status).toBe(0);

    // Opening a pipe that nobody writes into takes for ever, as a file on a disk that has gone away may.
    const log = join(directory, readdirSync(directory).find((name) => name.endsWith('.log'))!);
    renameSync(log, `${log}.aside`);
    execFileSync('mkfifo', [log]);
    const hung = await startService('broker', flags);
    await until('the HTTP port is there', async () => (await hung.probe('/livez'))?.status === 200);
    for (const path of ['/startupz', '/readyz']) {
      expect(await hung.probe(path)).toEqual({ status: 503, text: 'The log is being opened.\n' });
    }
    expect((await hung.probe('/metrics'))?.status).toBe(200);
    await hung.end('SIGKILL');

    rmSync(log);
    renameSync(`${log}.aside`, log);
    const well = await startService('broker', flags);
    await until('the broker has started', async () => (await well.probe('/startupz'))?.status === 200);
    expect((await well.probe('/readyz'))?.text).toBe('No NameServer has registered this broker yet.\n');
  },
  TEST_MS,
);

test(
  'a cluster becomes ready in whatever order it starts, and a broker stays so when the NameServer goes away',
  async () => {
    // Its address is known and leads nowhere yet.
    const nameServerPort = await freePort();
    const nameservers = ['--nameservers', `127.0.0.1:${nameServerPort}`];
    const proxy = await startService('proxy', nameservers);
    await until('the proxy has started', async () => (await proxy.probe('/startupz'))?.status === 200);
    expect(await proxy.probe('/readyz')).toEqual({
      status: 503,
      text: 'The routes of the cluster are not known yet.\n',
    });
    const nameServer = await startService('nameserver', [], { port: nameServerPort });
    await until('the NameServer has started', async () => (await nameServer.probe('/startupz'))?.status === 200);
    expect((await nameServer.probe('/readyz'))?.text).toContain('no broker has come to it yet');
    const broker = await startService('broker', ['--data-dir', temporaryDirectory(), ...nameservers]);
    for (const service of [broker, nameServer, proxy]) await service.untilReady();
    await nameServer.end('SIGKILL');
    expect((await broker.probe('/readyz'))?.status).toBe(200);
    expect((await proxy.probe('/readyz'))?.status).toBe(200);
  },
  TEST_MS,
);

test(
  'a NameServer without brokers is ready when there was time for them',
  async () => {
    const nameServer = await startService('nameserver', ['--broker-expiry', '4s']);
    await nameServer.untilReady();
  },
  TEST_MS,
);

test(
  'a setting that does not exist is one line of JSON and exit code 2, a directory in use is exit code 1',
  async () => {
    const wrong = await startService('broker', ['--retentionn', '1h']);
    const ended = await wrong.ended;
    expect(ended.status).toBe(2);
    expect(JSON.parse(ended.stderr)).toMatchObject({ level: 'error', error: expect.stringContaining('--retention') });

    const flags = ['--data-dir', temporaryDirectory(), '--nameservers', `127.0.0.1:${await freePort()}`];
    const first = await startService('broker', flags);
    await until('the broker has started', async () => (await first.probe('/startupz'))?.status === 200);
    const second = await (await startService('broker', flags)).ended;
    expect(second.status).toBe(1);
    const lines = second.stderr.trim().split('\n');
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('event');
    expect(lines.at(-1)).toContain('is in use by another process');
  },
  TEST_MS,
);
