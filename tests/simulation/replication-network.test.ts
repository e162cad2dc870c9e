// The simulated network breaks as it says and in no other way: stories of replicas mean something only if it does.
import type { FollowerPort, FollowReply, FollowRequest } from '@fulmar/broker/replication/messages.ts';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { SeededRandom } from './random.ts';
import { CONNECT_MS } from './replication-call.ts';
import { ANSWER_MS, SimulatedNetwork } from './replication-network.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const [A, B] = ['a:1', 'b:1'];
const said = (stored: number): FollowRequest => ({ kind: 'stored', stored });
const told = (position: number, bytes = 0): FollowReply => ({
  kind: 'data',
  epoch: 1,
  position,
  frames: bytes === 0 ? [] : [Buffer.alloc(bytes)],
  commitPosition: 0,
});
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** a follows b. */
class World {
  readonly trace = new Trace();
  readonly scheduler: Scheduler;
  readonly network: SimulatedNetwork;
  follower: SimulatedProcess;
  leader: SimulatedProcess;
  ports: FollowerPort[] = [];
  requests: number[] = [];
  closes = 0;
  replies: number[] = [];
  ends: string[] = [];

  constructor(seed: number) {
    const random = new SeededRandom(seed);
    this.scheduler = new Scheduler(random.fork());
    this.network = new SimulatedNetwork(this.scheduler, random.fork(), this.trace);
    this.follower = new SimulatedProcess(this.scheduler);
    this.leader = this.serve();
  }

  serve(): SimulatedProcess {
    this.leader = new SimulatedProcess(this.scheduler);
    this.network.serve(B, this.leader, {
      follow: (port) => {
        this.ports.push(port);
        port.onRequest((request) => this.requests.push(request.stored));
        port.onClose(() => this.closes++);
      },
      manifest: async () => undefined,
      readFile: async () => Buffer.alloc(0),
      readRecord: async () => undefined,
    });
    return this.leader;
  }

  connect() {
    return this.network.connector(A, this.follower)(B);
  }

  follow() {
    return this.connect().follow({
      onReply: (reply) => reply.kind === 'data' && this.replies.push(reply.position),
      onEnd: (reason) => this.ends.push(reason),
    });
  }

  async opened() {
    const call = this.follow();
    await this.scheduler.runUntil(() => this.ports.length === 1);
    return { call, port: this.ports[0]! };
  }

  run(durationMs: number): Promise<void> {
    return this.scheduler.runFor(durationMs);
  }
}

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('with seed %i', (seed) => {
  let world: World;

  beforeEach(() => {
    world = new World(seed);
  });

  test('a way that is cut swallows silently, and only what goes that way', async () => {
    const { call, port } = await world.opened();
    world.network.partition(A, B);
    for (const i of upTo(20)) {
      call.send(said(i));
      port.send(told(i));
    }
    await world.run(60_000);
    expect(world.requests).toEqual([]);
    expect(world.replies).toEqual(upTo(20));
    expect([world.ends, world.closes]).toEqual([[], 0]);
  });

  test('without a way back for its receipts a sender is stuck after a window', async () => {
    const { port } = await world.opened();
    world.network.partition(A, B);
    for (const i of upTo(100)) port.send(told(i, 100_000));
    await world.run(60_000);
    expect(world.replies.length).toBeGreaterThan(5);
    expect(world.replies.length).toBeLessThan(20);
    expect(port.waitingBytes()).toBeGreaterThan(8_000_000);
    expect(world.replies).toEqual(upTo(world.replies.length));
  });

  test('when it heals, a stream goes on without a gap or is reset at both ends', async () => {
    const { call, port } = await world.opened();
    world.network.isolate(B);
    for (const i of upTo(20)) {
      call.send(said(i));
      port.send(told(i));
    }
    await world.run(1_000);
    expect([world.requests, world.replies]).toEqual([[], []]);
    world.network.heal();
    await world.run(1_000);
    if (world.ends.length === 0) {
      expect([world.requests, world.replies, world.closes]).toEqual([upTo(20), upTo(20), 0]);
      call.send(said(20));
      await world.run(1_000);
      expect(world.requests).toEqual(upTo(21));
    } else {
      expect([world.requests, world.replies, world.closes]).toEqual([[], [], 1]);
      expect(world.ends).toEqual(['broken']);
    }
  });

  test('random resets lose an end of what was said, never a middle, and both ends hear of them', async () => {
    const { call, port } = await world.opened();
    world.network.faults.reset = 0.05;
    for (const i of upTo(200)) {
      call.send(said(i));
      port.send(told(i));
    }
    await world.run(10_000);
    expect(world.requests).toEqual(upTo(world.requests.length));
    expect(world.replies).toEqual(upTo(world.replies.length));
    expect([world.ends, world.closes]).toEqual([['broken'], 1]);
  });

  test('a call into a cut network gets no connection, ever, whichever way is cut', async () => {
    for (const [from, to] of [
      [A, B],
      [B, A],
    ] as const) {
      world = new World(seed);
      world.network.partition(from, to);
      world.follow().send(said(1));
      const question = world.connect().manifest();
      await world.run(CONNECT_MS - 1_000);
      expect(world.ends).toEqual([]);
      await expect(world.scheduler.settle(question)).rejects.toThrow();
      await world.run(2_000);
      expect(world.ends).toEqual(['broken']);
      expect(world.ports).toEqual([]);
    }
  });

  test('a question whose answer is swallowed is given up', async () => {
    const peer = world.connect();
    await world.opened();
    world.leader.pause();
    const question = peer.manifest();
    await expect(world.scheduler.settle(question, ANSWER_MS + 1_000)).rejects.toThrow('did not answer');
  });

  test('a leader that is killed resets its streams; in a cut network nobody hears of it', async () => {
    const { port } = await world.opened();
    for (const i of upTo(20)) port.send(told(i));
    world.leader.kill();
    await world.run(1_000);
    expect(world.replies).toEqual(upTo(world.replies.length));
    expect(world.ends).toEqual(['broken']);
    world.follow();
    await world.run(1_000);
    expect(world.ends).toEqual(['broken', 'unreachable']);

    world = new World(seed);
    await world.opened();
    world.network.isolate(B);
    world.leader.kill();
    await world.run(100_000);
    expect(world.ends).toEqual([]);
    world.network.heal();
    await world.run(1_000);
    expect(world.ends).toEqual(['broken']);
  });

  test('a follower that is killed closes its stream at the leader and hears nothing', async () => {
    const { call, port } = await world.opened();
    for (const i of upTo(20)) call.send(said(i));
    await world.run(1);
    world.follower.kill();
    port.send(told(1));
    await world.run(1_000);
    expect(world.requests).toEqual(upTo(world.requests.length));
    expect([world.closes, world.replies, world.ends]).toEqual([1, [], []]);
  });

  test('a process that is paused gets everything in order when it goes on', async () => {
    const { call, port } = await world.opened();
    world.leader.pause();
    for (const i of upTo(20)) call.send(said(i));
    await world.run(10_000);
    expect([world.requests, world.ends]).toEqual([[], []]);
    world.leader.resume();
    await world.run(1_000);
    expect(world.requests).toEqual(upTo(20));
    port.send(told(1));
    await world.run(1_000);
    expect(world.replies).toEqual([1]);
  });

  test('a reset reaches those whom it names, at both ends and once', async () => {
    await world.opened();
    world.network.reset(A, 'c:1');
    await world.run(1_000);
    expect([world.ends, world.closes]).toEqual([[], 0]);
    world.network.isolate(A);
    world.network.reset(B, A);
    world.network.reset();
    await world.run(1_000);
    expect([world.ends, world.closes]).toEqual([['broken'], 1]);
  });

  test('who serves anew at an address has none of the old streams', async () => {
    await world.opened();
    world.serve();
    await world.run(1_000);
    expect([world.ends, world.closes]).toEqual([['broken'], 1]);
    world.follow();
    await world.run(1_000);
    expect(world.ports).toHaveLength(2);
  });
});

test('the same seed makes the same network', async () => {
  const tell = async (seed: number) => {
    const world = new World(seed);
    const { call, port } = await world.opened();
    world.network.faults.reset = 0.001;
    for (const i of upTo(500)) {
      call.send(said(i));
      port.send(told(i, 1_000));
    }
    await world.run(5_000);
    return world.trace.hash;
  };
  expect(await tell(1)).toBe(await tell(1));
  expect(await tell(1)).not.toBe(await tell(2));
});
