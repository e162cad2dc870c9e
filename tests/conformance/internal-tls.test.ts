// Who gets in at the ports inside a cluster when they are protected: NameServer, data plane and replication of a
// broker, each as its own main starts it. Whoever is refused has changed nothing.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectReplicationPeer } from '@fulmar/broker/api/replication-peer.ts';
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import { type RunningBroker, startBroker } from '@fulmar/broker/main.ts';
import { readSettings, type SettingTable } from '@fulmar/core/config.ts';
import { type LogFields, silentLogger } from '@fulmar/core/ports.ts';
import { NAMESERVER_SETTINGS } from '@fulmar/nameserver/config.ts';
import { type RunningNameServer, startNameServer } from '@fulmar/nameserver/main.ts';
import { connectBroker } from '@fulmar/proxy/cluster/data-plane-client.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { connectGrpc, type GrpcClientOptions } from '@fulmar/runtime/grpc-client.ts';
import { createMetrics, type Metrics } from '@fulmar/runtime/metrics.ts';
import type { MutualTlsFiles } from '@fulmar/runtime/mutual-tls.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { Probes } from '@fulmar/runtime/probes.ts';
import { type Authority, makeAuthority } from '@fulmar/runtime/testing/authority.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { freePort } from '../integration/support/services.ts';
import { until } from '../integration/support/waiting.ts';

type Tls = GrpcClientOptions['tls'];

const NAME = ['internal.fulmar'] as const;
const HEALTH = { service: 'grpc.health.v1.Health', name: 'Check' };

let directory: string;
let ours: Authority;
let theirs: Authority;
let nameServer: RunningNameServer;
let broker: RunningBroker;
let metrics: Metrics;
let replicationPort: number;
const warnings: LogFields[] = [];
const logger = {
  ...silentLogger,
  warn: (event: string, fields: LogFields = {}) => warnings.push({ event, ...fields }),
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fulmar-internal-tls-'));
  ours = await makeAuthority('ours');
  theirs = await makeAuthority('theirs');
  const tlsFlags = (files: MutualTlsFiles) => [
    ...['--internal-tls-cert', files.cert, '--internal-tls-key', files.key],
    ...['--internal-tls-ca', files.ca],
  ];
  const flags = ['--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'];
  nameServer = await startNameServer(
    settings(NAMESERVER_SETTINGS, [...flags, ...tlsFlags(await ours.writeFiles(join(directory, 'nameserver'), NAME))]),
    logger,
  );
  replicationPort = await freePort();
  metrics = createMetrics({ labels: { cluster: 'fulmar', node_type: 'broker', node_id: 'b' }, processMetrics: false });
  broker = await startBroker({
    settings: settings(BROKER_SETTINGS, [
      ...flags,
      ...tlsFlags(await ours.writeFiles(join(directory, 'broker'), NAME)),
      ...['--data-dir', join(directory, 'data'), '--nameservers', `127.0.0.1:${nameServer.port}`],
      ...['--coordination', 'file', '--coordination-dir', join(directory, 'coordination')],
      ...['--replication-listen', `127.0.0.1:${replicationPort}`, '--segment-size', '16MiB', '--disk-reserve', '0'],
    ]),
    logger,
    metrics,
    probes: new Probes('The log is being opened.'),
    onFailure: (error) => {
      throw error;
    },
  });
  await until('the broker is registered over TLS and leads', () => broker.unready() === undefined);
}, 60_000);

afterAll(async () => {
  await broker.stop(0);
  await nameServer.stop(0);
  await rm(directory, { recursive: true });
});

describe.each([
  ['the NameServer', () => nameServer.port],
  ['the data plane of a broker', () => broker.port],
  ['the replication of a broker', () => replicationPort],
])('the port of %s', (what, port) => {
  test('takes who shows a certificate of the authority', async () => {
    const own = await ours.sign(['anybody']);
    expect(await knock(port(), trusting(ours, own))).toBe('served');
  });

  test.each([
    ['plaintext', 'no-plaintext', async (): Promise<Tls> => 'off'],
    ['TLS without a certificate', 'no-certificate', async (): Promise<Tls> => trusting(ours)],
    [
      'a certificate of another authority',
      'foreign-certificate',
      async (): Promise<Tls> => trusting(ours, await theirs.sign(NAME)),
    ],
  ])('refuses %s, counts it and changes nothing', async (_how, reason, tls) => {
    const before = await refused(what, reason);
    const stateBefore = await state();
    const stranger = await tls();
    expect(await knock(port(), stranger)).not.toBe('served');
    await until('the refusal is counted', async () => (await refused(what, reason)) > before);
    await attack(what, stranger);
    expect(await state()).toEqual(stateBefore);
    expect(warnings).toContainEqual(
      expect.objectContaining({ event: 'connections were refused', reason, peer: '127.0.0.1' }),
    );
  });

  test('is not believed by a client when its certificate is of another authority', async () => {
    const own = await theirs.sign(NAME);
    expect(await knock(port(), trusting(theirs, own))).not.toBe('served');
  });
});

function settings<T extends SettingTable>(table: T, flags: readonly string[]) {
  const read = readSettings('test', table, { environment: {}, flags });
  if (read.fault !== undefined) throw new Error(read.fault.message);
  return read.value;
}

function trusting(authority: Authority, own?: { readonly key: string; readonly cert: string }): Tls {
  return { trusted: authority.cert, serverNames: NAME, ...(own === undefined ? {} : { own }) };
}

/** How a question that every port answers ends. */
async function knock(port: number, tls: Tls): Promise<string> {
  const client = connectGrpc(`127.0.0.1:${port}`, { tls: tls ?? 'off' });
  try {
    await client.unary(HEALTH, { service: '' }, { timeoutMs: 5_000 });
    return 'served';
  } catch (failure) {
    return String(failure);
  } finally {
    client.close();
  }
}

/** What somebody would do who knows the name of the cluster. */
async function attack(what: string, tls: Tls): Promise<void> {
  const options = { tls: tls ?? 'off' } as const;
  if (what === 'the NameServer') {
    const connection = connectNameServer(`127.0.0.1:${nameServer.port}`, options);
    await new Promise<void>((resolve) => {
      const call = connection.register({ onReply: () => resolve(), onDrain() {}, onEnd: () => resolve() });
      const entry = { cluster: 'fulmar', set: 'set-0', replica: 'evil', role: 'master', epoch: 99 } as const;
      const topics = [{ name: 'stolen', type: 'normal', queues: 1 }] as const;
      call.send({
        broker: { ...entry, address: '127.0.0.1:1', version: '1' },
        putTopics: topics,
        deletedTopics: [],
        more: false,
      });
    });
    connection.close();
  } else if (what === 'the data plane of a broker') {
    const parts = { clock: systemClock, timers: systemTimers, random: systemRandom, logger: silentLogger };
    const connection = connectBroker(`127.0.0.1:${broker.port}`, { ...parts, tls: () => options.tls });
    const answer = await connection.putTopic({ name: 'stolen', type: 'normal', queues: 1 });
    expect(answer.fault).toBeDefined();
    connection.close();
  } else {
    const client = connectGrpc(`127.0.0.1:${replicationPort}`, options);
    await expect(client.unary({ service: 'fulmar.v1.Replication', name: 'Describe' }, {})).rejects.toThrow();
    client.close();
    const peer = connectReplicationPeer(`127.0.0.1:${replicationPort}`);
    await expect(peer.manifest()).rejects.toThrow();
    peer.close();
  }
}

async function refused(what: string, reason: string): Promise<number> {
  const text =
    what === 'the NameServer'
      ? await (await fetch(`http://127.0.0.1:${nameServer.httpPort}/metrics`)).text()
      : await metrics.text();
  const found = new RegExp(`fulmar_grpc_connections_refused_total\\{[^}]*reason="${reason}"[^}]*\\} (\\d+)`).exec(text);
  return Number(found?.[1] ?? 0);
}

/** What strangers must not change. */
async function state(): Promise<object> {
  const text = await (await fetch(`http://127.0.0.1:${nameServer.httpPort}/metrics`)).text();
  const known = text.split('\n').filter((line) => /^(fulmar_nameserver_brokers|rocketmq_topic_number)/.test(line));
  const { role, epoch, inSync, topics, endPosition } = await broker.broker.status();
  return { known, role, epoch, inSync, topics, endPosition, followers: broker.broker.standing()?.followers.length };
}
