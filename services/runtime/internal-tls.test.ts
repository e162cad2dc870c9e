import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemTimers } from './clock.ts';
import { connectGrpc } from './grpc-client.ts';
import { type GrpcServer, startGrpcServer } from './grpc-server.ts';
import { internalClient, internalPort, keepRenewed, openInternalTls } from './internal-tls.ts';
import type { MutualTls } from './mutual-tls.ts';
import { type Authority, makeAuthority } from './testing/authority.ts';

const NONE = { internalTlsCert: '', internalTlsKey: '', internalTlsCa: '' };

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fulmar-internal-tls-'));
});

afterEach(() => rm(directory, { recursive: true }));

describe('settings of TLS between services', () => {
  test('are all three, or none for plaintext', async () => {
    expect(await openInternalTls(NONE, systemTimers, silentLogger)).toBeUndefined();
    for (const name of Object.keys(NONE)) {
      const some = { ...NONE, [name]: '/etc/some.pem' };
      await expect(openInternalTls(some, systemTimers, silentLogger)).rejects.toThrow('Give all three, or none');
    }
    expect(internalPort(undefined)).toEqual({ plaintext: true });
    expect(internalClient(undefined, 'broker:10911')).toBe('off');
  });

  test('make a port without plaintext, and a client that believes the common name or the host', async () => {
    const authority = await makeAuthority('ours');
    const files = await authority.writeFiles(directory, ['internal.fulmar']);
    const settings = { internalTlsCert: files.cert, internalTlsKey: files.key, internalTlsCa: files.ca };
    const tls = await openInternalTls(settings, systemTimers, silentLogger);
    expect(internalPort(tls)).toEqual({ tls: tls!.pair, plaintext: false });
    expect(internalClient(tls, '[::1]:10911')).toEqual({
      trusted: authority.cert,
      own: tls!.pair,
      serverNames: ['internal.fulmar', '::1'],
    });
    tls!.close();
  });
});

describe.each(['grpc-js', 'native'] as const)('certificates replaced while a service runs on %s', (transport) => {
  let server: GrpcServer | undefined;
  const opened: MutualTls[] = [];

  afterEach(async () => {
    await server?.stop(0);
    for (const tls of opened.splice(0)) tls.close();
  });

  async function opener(place: string, authority: Authority) {
    const files = await authority.writeFiles(join(directory, place), ['internal.fulmar']);
    const settings = { internalTlsCert: files.cert, internalTlsKey: files.key, internalTlsCa: files.ca };
    const tls = await openInternalTls(settings, systemTimers, silentLogger);
    opened.push(tls!);
    return { tls: tls!, files };
  }

  test('count for new handshakes, so an authority is replaced and nobody is ever left outside', async () => {
    const [old, next] = [await makeAuthority('old'), await makeAuthority('next')];
    const serving = await opener('server', old);
    const asking = await opener('client', old);
    const late = await opener('late', old);
    server = await startGrpcServer({
      ...{ host: '127.0.0.1', port: 0, transport, services: [], logger: silentLogger, observer: silentObserver },
      ...internalPort(serving.tls),
    });
    keepRenewed(server, serving.tls);
    const ask = async (tls: MutualTls): Promise<number> => {
      const address = `127.0.0.1:${server!.port}`;
      const client = connectGrpc(address, { tls: internalClient(tls, address) });
      const method = { service: 'grpc.health.v1.Health', name: 'Check' };
      try {
        return (await client.unary<object, { readonly status: number }>(method, { service: '' })).status;
      } finally {
        client.close();
      }
    };
    expect(await ask(asking.tls)).toBe(1);
    for (const { tls, files } of [serving, asking]) {
      await writeFile(files.ca, `${old.cert}\n${next.cert}`);
      await tls.look();
    }
    expect(await ask(asking.tls)).toBe(1);
    for (const { tls, files } of [serving, asking]) {
      const pair = await next.sign(['internal.fulmar']);
      await writeFile(files.cert, pair.cert);
      await writeFile(files.key, pair.key);
      await tls.look();
      expect(await ask(asking.tls)).toBe(1);
    }
    for (const { tls, files } of [serving, asking]) {
      await writeFile(files.ca, next.cert);
      await tls.look();
    }
    expect(await ask(asking.tls)).toBe(1);
    await expect(ask(late.tls)).rejects.toThrow();
  });
});
