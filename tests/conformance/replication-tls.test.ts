// Who gets a connection between replicas when it is protected, and who does not.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@fulmar/core/ports.ts';
import { systemTimers } from '@fulmar/runtime/clock.ts';
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import { MutualTls } from '@fulmar/runtime/mutual-tls.ts';
import { RAW } from '@fulmar/runtime/rpc.ts';
import { type Authority, makeAuthority } from '@fulmar/runtime/testing/authority.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FETCH, GrpcPair, Heard, MANIFEST } from './replication-transport-support.ts';

const NAME = ['internal.fulmar'];

let directory: string;
let authority: Authority;
let stranger: Authority;
let opened: MutualTls[];
let pair: GrpcPair | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fulmar-replication-tls-'));
  authority = await makeAuthority('ours');
  stranger = await makeAuthority('theirs');
  opened = [];
});

afterEach(async () => {
  await pair?.close();
  pair = undefined;
  for (const tls of opened) tls.close();
  await rm(directory, { recursive: true });
});

async function certified(by: Authority, names: readonly string[], place: string): Promise<MutualTls> {
  const files = await by.writeFiles(join(directory, place), names);
  const tls = await MutualTls.open(files, systemTimers, silentLogger);
  opened.push(tls);
  return tls;
}

async function serve(by: Authority, names: readonly string[] = NAME) {
  const tls = await certified(by, names, 'server');
  pair = await new GrpcPair({ tls }).open();
  return { pair, tls };
}

/** How a try to follow ends, or `followed`. */
async function attempt(to: GrpcPair, options: { tls?: MutualTls }): Promise<string> {
  const heard = new Heard();
  const before = to.replica.requests.length;
  const peer = to.connect(options);
  peer.follow(heard).send(FETCH);
  await to.until(() => heard.ends.length > 0 || to.replica.requests.length > before);
  if (heard.ends.length > 0) {
    await expect(peer.manifest()).rejects.toThrow();
    expect(to.replica.ports).toHaveLength(0);
    return heard.ends[0]!;
  }
  expect(await peer.manifest()).toEqual(MANIFEST);
  return 'followed';
}

describe('a protected port between replicas', () => {
  test('connects those whose certificates are of the same authority, by the common name', async () => {
    const { pair } = await serve(authority);
    expect(await attempt(pair, { tls: await certified(authority, NAME, 'client') })).toBe('followed');
  });

  test('or by the host of the address, as the server’s certificate says it', async () => {
    const { pair } = await serve(authority, ['127.0.0.1']);
    expect(await attempt(pair, { tls: await certified(authority, ['anybody'], 'client') })).toBe('followed');
  });

  test('is not believed under another name', async () => {
    const { pair } = await serve(authority, ['replica-0.example', '127.0.0.2']);
    expect(await attempt(pair, { tls: await certified(authority, NAME, 'client') })).toBe('broken');
  });

  test('refuses who shows a certificate of another authority', async () => {
    const { pair } = await serve(authority);
    const tls = await certified(stranger, NAME, 'client');
    // Even one who would believe the server.
    tls.pair = { ...tls.pair, clientCa: authority.cert };
    expect(await attempt(pair, { tls })).toBe('broken');
  });

  test('is not believed with a certificate of another authority', async () => {
    const { pair } = await serve(stranger);
    expect(await attempt(pair, { tls: await certified(authority, NAME, 'client') })).toBe('broken');
  });

  test('refuses who shows no certificate', async () => {
    const { pair } = await serve(authority);
    const describe = { service: 'fulmar.v1.Replication', name: 'Describe', codec: RAW };
    const trusting = { trusted: authority.cert, serverNames: ['internal.fulmar'] } as const;
    const client = connectGrpc(`127.0.0.1:${pair.port}`, { tls: trusting });
    await expect(client.unary(describe, Buffer.alloc(0))).rejects.toThrow();
    client.close();
    const own = await authority.sign(['anybody']);
    const certifiedClient = connectGrpc(`127.0.0.1:${pair.port}`, { tls: { ...trusting, own } });
    expect((await certifiedClient.unary(describe, Buffer.alloc(0))).length).toBeGreaterThan(0);
    certifiedClient.close();
  });

  test('refuses plaintext, and no secret is told to a port that is not protected', async () => {
    const { pair } = await serve(authority);
    expect(await attempt(pair, {})).toBe('broken');
    const open = await new GrpcPair().open();
    expect(await attempt(open, { tls: await certified(authority, NAME, 'client') })).toBe('broken');
    await open.close();
  });

  test('that nobody serves is unreachable, as without protection', async () => {
    const { pair } = await serve(authority);
    await pair.kill();
    expect(await attempt(pair, { tls: await certified(authority, NAME, 'client') })).toBe('unreachable');
  });

  test('takes a new authority for new connections, and those that are there stay', async () => {
    const { pair, tls: server } = await serve(authority);
    const client = await certified(authority, NAME, 'client');
    const heard = new Heard();
    const call = pair.connect({ tls: client }).follow(heard);
    call.send(FETCH);
    await pair.until(() => pair.replica.requests.length === 1);
    await stranger.writeFiles(join(directory, 'server'), NAME);
    await server.look();
    pair.replica.ports.length = 0;
    expect(await attempt(pair, { tls: client })).toBe('broken');
    await stranger.writeFiles(join(directory, 'client'), NAME);
    await client.look();
    expect(await attempt(pair, { tls: client })).toBe('followed');
    call.send({ kind: 'stored', stored: 7 });
    await pair.until(() => pair.replica.requests.some((request) => request.stored === 7));
    expect(heard.ends).toEqual([]);
  });
});
