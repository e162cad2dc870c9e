import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogFields, silentLogger, type Timers } from '@fulmar/core/ports.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { KeyPair } from './certificates.ts';
import { MutualTls } from './mutual-tls.ts';
import { makeAuthority } from './testing/authority.ts';

let directory: string;
let due: { readonly delayMs: number; callback: (() => void) | undefined }[];
let warnings: LogFields[];

const timers: Timers = {
  after: (delayMs, callback) => {
    const timer: (typeof due)[number] = { delayMs, callback };
    due.push(timer);
    return {
      cancel: () => {
        timer.callback = undefined;
      },
    };
  },
  soon: setImmediate,
};
const logger = { ...silentLogger, warn: (_event: string, fields: LogFields = {}) => warnings.push(fields) };
const waiting = () => due.filter(({ callback }) => callback !== undefined);

beforeEach(async () => {
  due = [];
  warnings = [];
  directory = await mkdtemp(join(tmpdir(), 'fulmar-mutual-tls-'));
});

afterEach(() => rm(directory, { recursive: true }));

async function opened() {
  const authority = await makeAuthority('first');
  const files = await authority.writeFiles(directory, ['localhost']);
  const tls = await MutualTls.open(files, timers, logger);
  const changes: KeyPair[] = [];
  tls.onChange((pair) => changes.push(pair));
  return { authority, files, tls, changes };
}

describe('certificates of a port with TLS on both sides', () => {
  test('are looked at every ten seconds, and those that have not changed stay', async () => {
    const { tls, changes, authority } = await opened();
    expect(tls.pair.clientCa).toBe(authority.cert);
    expect(waiting().map(({ delayMs }) => delayMs)).toEqual([10_000]);
    const { pair } = tls;
    await tls.look();
    expect(waiting().map(({ delayMs }) => delayMs)).toEqual([10_000]);
    expect(tls.pair).toBe(pair);
    expect(changes).toEqual([]);
  });

  test('that were replaced are used from then on', async () => {
    const { tls, changes } = await opened();
    const before = tls.pair;
    const second = await makeAuthority('second');
    await second.writeFiles(directory, ['localhost']);
    await tls.look();
    expect(tls.pair.cert).not.toBe(before.cert);
    expect(tls.pair.clientCa).toBe(second.cert);
    expect(changes).toEqual([tls.pair]);
  });

  test('that were replaced by half or by nonsense are not used until the rest is there', async () => {
    const { tls, changes, authority, files } = await opened();
    const before = tls.pair;
    const next = await authority.sign(['localhost']);
    await writeFile(files.cert, next.cert);
    await tls.look();
    expect(tls.pair).toBe(before);
    await writeFile(files.key, 'nonsense');
    await tls.look();
    await rm(files.ca);
    await tls.look();
    expect(tls.pair).toBe(before);
    expect(warnings).toHaveLength(3);
    await writeFile(files.ca, authority.cert);
    await writeFile(files.key, next.key);
    await tls.look();
    expect(tls.pair).toEqual({ ...next, clientCa: authority.cert });
    expect(changes).toHaveLength(1);
  });

  test('are not looked at after closing', async () => {
    const { tls } = await opened();
    tls.close();
    expect(waiting()).toEqual([]);
    await tls.look();
    expect(waiting()).toEqual([]);
  });

  test('that cannot be used at the start are an error that names them', async () => {
    const { files, authority } = await opened();
    await writeFile(files.cert, (await authority.sign(['localhost'])).cert);
    await expect(MutualTls.open(files, timers, logger)).rejects.toThrow(files.cert);
    await rm(files.key);
    await expect(MutualTls.open(files, timers, logger)).rejects.toThrow('key.pem');
  });
});
