import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { selfSignedPair } from './certificates.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fulmar-certificates-'));
});

afterEach(() => rm(directory, { recursive: true }));

describe('a self-signed certificate', () => {
  test('is kept in its directory, readable only by its owner, and used again', async () => {
    const inner = join(directory, 'tls');
    const first = await selfSignedPair(inner);
    const second = await selfSignedPair(inner);
    expect(second.cert.trim()).toBe(first.cert.trim());
    expect(second.key.trim()).toBe(first.key.trim());
    expect((await stat(join(inner, 'self-signed.pem'))).mode & 0o077).toBe(0);
  });

  test('without a directory is a new one each time', async () => {
    expect((await selfSignedPair()).cert).not.toBe((await selfSignedPair()).cert);
  });
});
