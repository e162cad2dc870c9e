// What the contract of replication promises of a connection between replicas, asked of gRPC over a real port and of the
// simulated network on which the cluster's life stories are told.
import type { DataReply } from '@fulmar/broker/replication/messages.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FETCH, GrpcPair, Heard, MANIFEST, type Pair, SimulatedPair } from './replication-transport-support.ts';

const MIB = 1024 * 1024;

const data = (position: number, ...frames: readonly Buffer[]): DataReply => ({
  kind: 'data',
  epoch: 1,
  position,
  frames,
  commitPosition: 0,
});

const NETWORKS: readonly (readonly [string, () => Promise<Pair>])[] = [
  ['gRPC', () => new GrpcPair().open()],
  ['simulated network', async () => new SimulatedPair(1)],
  ['simulated network, another seed', async () => new SimulatedPair(2)],
];

describe.each(NETWORKS)('%s', (_name, open) => {
  let pair: Pair;

  beforeEach(async () => {
    pair = await open();
  });

  afterEach(() => pair.close());

  /** A follower whose first question has arrived. */
  async function following() {
    const heard = new Heard();
    const call = pair.connect().follow(heard);
    const before = pair.replica.requests.length;
    call.send(FETCH);
    await pair.until(() => pair.replica.requests.length > before);
    return { heard, call, port: pair.replica.ports.at(-1)! };
  }

  test('what a follower says arrives in order, from the first word, before the connection is there', async () => {
    const call = pair.connect().follow(new Heard());
    call.send(FETCH);
    for (let stored = 6; stored <= 10; stored++) call.send({ kind: 'stored', stored });
    await pair.until(() => pair.replica.requests.length === 6);
    expect(pair.replica.requests).toEqual([FETCH, ...[6, 7, 8, 9, 10].map((stored) => ({ kind: 'stored', stored }))]);
  });

  test('what a leader says arrives in order, of every kind', async () => {
    const { heard, port } = await following();
    port.send(data(10, Buffer.from('a'), Buffer.from('bc')));
    port.send(data(13));
    port.send({ kind: 'diverged', epoch: 1, end: 5, position: 10, lastEpoch: 1 });
    port.send({ kind: 'refused', reason: 'snapshot-needed', epoch: 2, text: 'Copy a snapshot.' });
    await pair.until(() => heard.replies.length === 4);
    expect(heard.replies).toEqual([
      data(10, Buffer.from('abc')),
      data(13),
      { kind: 'diverged', epoch: 1, end: 5, position: 10, lastEpoch: 1 },
      { kind: 'refused', reason: 'snapshot-needed', epoch: 2, text: 'Copy a snapshot.' },
    ]);
    expect(heard.ends).toEqual([]);
  });

  test('a leader that listens late has missed nothing', async () => {
    pair.replica.listens = false;
    const call = pair.connect().follow(new Heard());
    call.send(FETCH);
    call.send({ kind: 'stored', stored: 6 });
    await pair.until(() => pair.replica.ports.length === 1);
    const [port] = pair.replica.ports;
    port!.onRequest((request) => pair.replica.requests.push(request));
    await pair.until(() => pair.replica.requests.length === 2);
    call.cancel();
    // Another call has come and gone in the meantime, and so has the end of the first.
    await pair.settle(pair.connect().manifest());
    await pair.settle(pair.connect().manifest());
    port!.onClose(() => pair.replica.closes++);
    await pair.until(() => pair.replica.closes === 1);
  });

  test('bytes that the network has not taken are counted, and their going is told', async () => {
    const { heard, port } = await following();
    let drains = 0;
    port.onDrain(() => {
      expect(port.waitingBytes()).toBe(0);
      drains++;
    });
    for (let i = 0; i < 24; i++) port.send(data(i * MIB, Buffer.alloc(MIB, i)));
    expect(port.waitingBytes()).toBeGreaterThanOrEqual(24 * MIB);
    await pair.until(() => heard.replies.length === 24 && drains > 0);
    expect(heard.records.equals(Buffer.concat(Array.from({ length: 24 }, (_, i) => Buffer.alloc(MIB, i))))).toBe(true);
    expect(port.waitingBytes()).toBe(0);
  });

  test('the largest record passes behind a full batch', async () => {
    const { heard, port } = await following();
    port.send(data(0, Buffer.alloc(MIB, 1), Buffer.alloc(6 * MIB, 2)));
    await pair.until(() => heard.replies.length === 1);
    expect(heard.records.length).toBe(7 * MIB);
  });

  test('what becomes of the leader’s memory after it has sent does not matter', async () => {
    const { heard, port } = await following();
    const frame = Buffer.from('before');
    port.send(data(0, frame));
    frame.write('after!');
    await pair.until(() => heard.replies.length === 1);
    expect(heard.records.toString()).toBe('before');
  });

  test('a follower that cancels hears nothing more, and the leader hears of it once', async () => {
    const { heard, call, port } = await following();
    call.cancel();
    port.send(data(0, Buffer.from('late')));
    await pair.until(() => pair.replica.closes === 1);
    call.cancel();
    call.send(FETCH);
    port.send(data(0));
    port.end();
    await following();
    expect(heard.ends).toEqual([]);
    expect(heard.replies).toEqual([]);
    expect(pair.replica.closes).toBe(1);
    expect(port.waitingBytes()).toBe(0);
  });

  test('a stream that the leader ends is broken for the follower, behind all that was said', async () => {
    const { heard, port } = await following();
    port.send({ kind: 'refused', reason: 'not-leader', epoch: 2, text: 'Ask another one.' });
    port.end();
    await pair.until(() => heard.ends.length > 0 && pair.replica.closes > 0);
    expect(heard.replies).toHaveLength(1);
    expect(heard.ends).toEqual(['broken']);
    port.send(data(0));
    await following();
    expect(heard.ends).toEqual(['broken']);
    expect(pair.replica.closes).toBe(1);
  });

  test('where nobody listens is unreachable, each time, and never before the call has returned', async () => {
    const peer = pair.connectNowhere();
    for (let attempt = 1; attempt <= 5; attempt++) {
      const heard = new Heard();
      const call = peer.follow(heard);
      call.send(FETCH);
      expect(heard.ends).toEqual([]);
      await pair.until(() => heard.ends.length === 1);
      expect(heard.ends).toEqual(['unreachable']);
    }
    await expect(pair.settle(peer.manifest())).rejects.toThrow();
  });

  test('a leader that dies breaks its streams, is unreachable then, and is found at once when it is back', async () => {
    const peer = pair.connect();
    const first = new Heard();
    peer.follow(first).send(FETCH);
    await pair.until(() => pair.replica.requests.length === 1);
    await pair.settle(peer.manifest());
    await pair.kill();
    await pair.until(() => first.ends.length > 0);
    expect(first.ends).toEqual(['broken']);
    for (let attempt = 1; attempt <= 5; attempt++) {
      const heard = new Heard();
      peer.follow(heard).send(FETCH);
      await pair.until(() => heard.ends.length > 0);
      expect(heard.ends).toEqual(['unreachable']);
    }
    await expect(pair.settle(peer.readRecord(5, 6))).rejects.toThrow();
    await pair.restart();
    const second = new Heard();
    peer.follow(second).send(FETCH);
    await pair.until(() => pair.replica.requests.length === 2);
    await pair.settle(peer.manifest());
    expect([first.ends, second.ends]).toEqual([['broken'], []]);
  });

  test('questions are answered, or rejected', async () => {
    const peer = pair.connect();
    expect(await pair.settle(peer.manifest())).toEqual(MANIFEST);
    expect((await pair.settle(peer.readFile('a.log', 3, 100))).toString()).toBe('tent');
    expect((await pair.settle(peer.readRecord(5, 4)))!.toString()).toBe('cont');
    pair.replica.content = undefined;
    expect(await pair.settle(peer.manifest())).toBeUndefined();
    expect(await pair.settle(peer.readRecord(5, 4))).toBeUndefined();
    await expect(pair.settle(peer.readFile('a.log', 3, 100))).rejects.toThrow();
  });

  test('a connection that its follower closes says nothing more, and refuses what comes later', async () => {
    const peer = pair.connect();
    const heard = new Heard();
    peer.follow(heard).send(FETCH);
    await pair.until(() => pair.replica.requests.length === 1);
    peer.close();
    await pair.until(() => pair.replica.closes === 1);
    const late = new Heard();
    peer.follow(late).send(FETCH);
    await pair.until(() => late.ends.length > 0);
    await expect(pair.settle(peer.manifest())).rejects.toThrow();
    expect([heard.ends, late.ends]).toEqual([[], ['broken']]);
    expect(pair.replica.requests).toHaveLength(1);
  });
});
