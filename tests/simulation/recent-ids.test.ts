// A producer's retry that comes after an upgrade of its broker: the snapshot knows the first send by a key that an
// older program made, and the retry must still be answered with the place of the first.
import { readSnapshot, writeSnapshot } from '@fulmar/broker/log/snapshot-file.ts';
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { RecentMessageIds } from '@fulmar/broker/state/recent-message-ids.ts';
import { PayloadWriter } from '@fulmar/broker/state/records/bytes.ts';
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const DIRECTORY = 'data/log';
const TOPIC_ID = 1;
const OLD_STATE_VERSION = 2;
const IDS = Array.from({ length: 30 }, (_unused, i) => `id-${i}`);

/** As programs made it whose snapshots have version 1 or 2. */
const oldKeyOf = (messageId: string) =>
  (hash32(messageId, TOPIC_ID) & 0x1fffff) * 0x1_0000_0000 + hash32(messageId, ~TOPIC_ID);

function keyBytes(key: number): Buffer {
  const bytes = Buffer.alloc(8);
  new PayloadWriter(bytes, 0).uint64(key);
  return bytes;
}

async function world() {
  const random = new SeededRandom(7);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  const begin = () => {
    const process = new SimulatedProcess(scheduler, 0);
    const opening = openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: DIRECTORY, disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 1_000_000, segmentRecords: 20 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
      onFailure: (error) => {
        throw error;
      },
    });
    return scheduler.settle(opening);
  };
  /** Where the message is, by what the answer says. */
  const sent = async (broker: BrokerNode, messageId: string) => {
    const message = {
      ...{ messageId, type: MESSAGE_TYPE.normal, tag: '', keys: [], messageGroup: '', bornAtMs: 1, deliverAtMs: 0 },
      ...{ userPart: new Uint8Array(), systemPart: new Uint8Array(), body: Buffer.from('body') },
    };
    const [result] = await scheduler.settle(broker.send({ topic: 'orders', messages: [message] }));
    if (result?.fault !== undefined) throw new Error(result.fault.message);
    return [result?.queueId, result?.queueOffset];
  };
  /** Writes the newest snapshot as an older program would have; returns how many ids it had. */
  const makeSnapshotOld = async (): Promise<number> => {
    const names = await scheduler.settle(disk.list(DIRECTORY));
    const position = Number.parseInt(
      names
        .filter((name) => name.endsWith('.snap'))
        .sort()
        .at(-1)!,
      10,
    );
    const snapshot = await scheduler.settle(readSnapshot(disk, DIRECTORY, position));
    if (typeof snapshot === 'string') throw new Error(snapshot);
    const state = Buffer.from(snapshot.state);
    state[0] = OLD_STATE_VERSION;
    let replaced = 0;
    for (const id of IDS) {
      const at = state.indexOf(keyBytes(RecentMessageIds.keyOf(TOPIC_ID, id)));
      if (at < 0) continue;
      keyBytes(oldKeyOf(id)).copy(state, at);
      replaced++;
    }
    const { epochs, heads } = snapshot;
    await scheduler.settle(writeSnapshot(disk, DIRECTORY, snapshot, epochs, heads, [state]));
    return replaced;
  };
  return { scheduler, begin, sent, makeSnapshotOld };
}

test('a send that is repeated after an upgrade is stored once, whichever make its key is of', async () => {
  const { scheduler, begin, sent, makeSnapshotOld } = await world();
  const before = await begin();
  await scheduler.settle(before.putTopic({ name: 'orders', type: 'normal', queues: 2 }));
  const places: unknown[] = [];
  for (const id of IDS) places.push(await sent(before, id));
  await scheduler.runFor(5_000);
  await scheduler.settle(before.close());
  const fromSnapshot = await makeSnapshotOld();
  // Some are replayed behind the snapshot, and so get keys of today.
  expect(fromSnapshot).toBeGreaterThan(5);
  expect(fromSnapshot).toBeLessThan(IDS.length);

  const after = await begin();
  for (const [i, id] of IDS.entries()) expect(await sent(after, id)).toEqual(places[i]);
  expect(new Set(places.map(String)).size).toBe(IDS.length);
  await scheduler.settle(after.close());
});
