// What a master says that it does not have. A master that was deposed, and does not know it yet, has nothing of what
// the next one took: so nobody hears from it that something is not there.
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { encodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import { encodeTransactionId } from '@fulmar/core/transaction-id.ts';
import { expect, test } from '@jest/globals';
import { SimulatedDisk } from './disk.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

/** A broker, and three questions about what it does not have. */
async function world() {
  const random = new SeededRandom(7);
  const scheduler = new Scheduler(random.fork());
  const disk = new SimulatedDisk(scheduler, random.fork(), new Trace());
  const process = new SimulatedProcess(scheduler, 0);
  const broker = await scheduler.settle(
    openSoleBroker({
      ...{ cluster: 'cluster', set: 'set-0', version: 'simulated', directory: 'data/log', disk },
      policy: {
        ...{ flush: 'sync', flushIntervalMs: 500, segmentBytes: 1_000_000, segmentRecords: 500 },
        ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
      },
      ...{ clock: process, timers: process, random: random.fork(), logger: silentLogger, observer: silentObserver },
      onFailure: () => undefined,
    }),
  );
  const setHash = setHashOf('set-0');
  const transactionId = encodeTransactionId({ setHash, id: 1 });
  const recallHandle = encodeRecallHandle({ setHash, position: 1, topicId: 1, messageId: 'one' });
  const ask = () =>
    Promise.all([
      broker.transactions.end({ transactionId, resolution: 'commit', topic: '' }),
      broker.transactions.resume(transactionId),
      broker.recall({ topic: 'later', recallHandle }),
    ]).then((faults) => faults.map((fault) => fault?.error));
  return { scheduler, disk, ask };
}

test('a master says that a transaction or a delayed message is not there', async () => {
  const { scheduler, ask } = await world();
  expect(await scheduler.settle(ask())).toEqual(['INVALID_TRANSACTION_ID', 'INVALID_TRANSACTION_ID', 'NOT_FOUND']);
});

test('a master that can commit nothing any more does not say so, because another one may have it', async () => {
  const { scheduler, disk, ask } = await world();
  disk.faults.write = 1;
  expect(await scheduler.settle(ask())).toEqual(['NOT_MASTER', 'NOT_MASTER', 'NOT_MASTER']);
});
