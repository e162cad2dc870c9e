// A replica that answers as a test wants it, and the two networks on which another one can reach it: gRPC over a real
// port, and the simulated one.
import { connectReplicationPeer, type ReplicationPeerOptions } from '@fulmar/broker/api/replication-peer.ts';
import { type ReplicationServerOptions, startReplicationServer } from '@fulmar/broker/api/replication-server.ts';
import type { LogManifest } from '@fulmar/broker/log/log.ts';
import type {
  FetchRequest,
  FollowerPort,
  FollowReply,
  FollowRequest,
  ReplicationPeer,
} from '@fulmar/broker/replication/messages.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import type { GrpcServer } from '@fulmar/runtime/grpc-server.ts';
import { until } from '@fulmar/runtime/testing.ts';
import { SeededRandom } from '../simulation/random.ts';
import { SimulatedNetwork } from '../simulation/replication-network.ts';
import { Scheduler, SimulatedProcess } from '../simulation/scheduler.ts';
import { Trace } from '../simulation/trace.ts';

export const FETCH: FetchRequest = {
  kind: 'fetch',
  clusterId: 'c',
  set: 's',
  replica: 'r',
  storeUid: 'u',
  address: '127.0.0.1:1',
  version: '1',
  epoch: 1,
  position: 10,
  lastEpoch: 1,
  stored: 5,
};

export const MANIFEST: LogManifest = { snapshotPosition: 5, files: [{ name: 'a.log', bytes: 7 }] };

/** What a replica was asked, and what it answers. */
export class TestReplica {
  readonly ports: FollowerPort[] = [];
  readonly requests: FollowRequest[] = [];
  closes = 0;
  /** Whether it listens to its followers from the beginning. */
  listens = true;
  content: Buffer | undefined = Buffer.from('content');

  follow(port: FollowerPort): void {
    this.ports.push(port);
    if (this.listens) this.listen(port);
  }

  listen(port: FollowerPort): void {
    port.onRequest((request) => this.requests.push(request));
    port.onClose(() => this.closes++);
  }

  async manifest(): Promise<LogManifest | undefined> {
    return this.content === undefined ? undefined : MANIFEST;
  }

  async readFile(_name: string, offset: number, length: number): Promise<Buffer> {
    if (this.content === undefined) throw new Error('the file is gone');
    return this.content.subarray(offset, offset + length);
  }

  async readRecord(_position: number, length: number): Promise<Buffer | undefined> {
    return this.content?.subarray(0, length);
  }

  describe() {
    return { setRecord: '{"epoch":3}', role: 'leader', epoch: 3 };
  }
}

/** What a follower hears on one stream. */
export class Heard {
  readonly replies: FollowReply[] = [];
  readonly ends: string[] = [];

  onReply(reply: FollowReply): void {
    this.replies.push(reply);
  }

  onEnd(reason: 'unreachable' | 'broken'): void {
    this.ends.push(reason);
  }

  /** All records that came, in order. */
  get records(): Buffer {
    return Buffer.concat(this.replies.flatMap((reply) => (reply.kind === 'data' ? reply.frames : [])));
  }
}

export interface Pair {
  readonly replica: TestReplica;
  /** A connection to the replica. */
  connect(): ReplicationPeer;
  /** One to where nobody has ever listened. */
  connectNowhere(): ReplicationPeer;
  until(condition: () => boolean): Promise<void>;
  settle<T>(promise: Promise<T>): Promise<T>;
  /** The replica's process ends without a word. */
  kill(): Promise<void>;
  /** It is there again, at the same address. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export class GrpcPair implements Pair {
  readonly replica = new TestReplica();
  port = 0;
  readonly #server: Pick<ReplicationServerOptions, 'tls'>;
  readonly #client: ReplicationPeerOptions;
  readonly #peers: ReplicationPeer[] = [];
  #running: GrpcServer | undefined;

  constructor(server: Pick<ReplicationServerOptions, 'tls'> = {}, client: ReplicationPeerOptions = {}) {
    this.#server = server;
    this.#client = client;
  }

  async open(): Promise<this> {
    await this.restart();
    return this;
  }

  connect(options: ReplicationPeerOptions = this.#client) {
    const peer = connectReplicationPeer(`127.0.0.1:${this.port}`, options);
    this.#peers.push(peer);
    return peer;
  }

  connectNowhere(): ReplicationPeer {
    const peer = connectReplicationPeer('127.0.0.1:1');
    this.#peers.push(peer);
    return peer;
  }

  until(condition: () => boolean): Promise<void> {
    return until(condition);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return promise;
  }

  async kill(): Promise<void> {
    await this.#running?.stop(0);
    this.#running = undefined;
  }

  async restart(): Promise<void> {
    this.#running = await startReplicationServer({
      listen: `127.0.0.1:${this.port}`,
      replica: this.replica,
      logger: silentLogger,
      observer: silentObserver,
      ...this.#server,
    });
    this.port = this.#running.port;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.kill();
  }
}

export class SimulatedPair implements Pair {
  readonly replica = new TestReplica();
  readonly #scheduler: Scheduler;
  readonly #network: SimulatedNetwork;
  #process: SimulatedProcess;

  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.#scheduler = new Scheduler(random.fork());
    this.#network = new SimulatedNetwork(this.#scheduler, random.fork(), new Trace());
    this.#process = new SimulatedProcess(this.#scheduler);
    this.#network.serve('leader:1', this.#process, this.replica);
  }

  connect(): ReplicationPeer {
    return this.#network.connector('follower:1', new SimulatedProcess(this.#scheduler))('leader:1');
  }

  connectNowhere(): ReplicationPeer {
    return this.#network.connector('follower:1', new SimulatedProcess(this.#scheduler))('nowhere:1');
  }

  until(condition: () => boolean): Promise<void> {
    return this.#scheduler.runUntil(condition, 60_000);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.#scheduler.settle(promise, 60_000);
  }

  async kill(): Promise<void> {
    this.#process.kill();
  }

  async restart(): Promise<void> {
    this.#process = new SimulatedProcess(this.#scheduler);
    this.#network.serve('leader:1', this.#process, this.replica);
  }

  async close(): Promise<void> {}
}
