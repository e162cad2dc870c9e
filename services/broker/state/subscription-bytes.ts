// A subscription as bytes and back, for snapshots: its definition with the cursors, then its leases in ascending order
// of queue and offset.
//
//   u32 length, definition;  u32 leases: queue, offset, attempt, visible at, pop id, client, lane
import type { Lease } from './lease.ts';
import { type PayloadReader, PayloadWriter, stringBytes } from './records/bytes.ts';
import { readSubscriptionPut, subscriptionPutBytes, writeSubscriptionPut } from './records/definitions.ts';
import type { BrokerState } from './state.ts';
import type { Subscription } from './subscription.ts';

/** Collects the pieces of a snapshot. */
export class Chunks {
  readonly list: Buffer[] = [];

  fixed(bytes: number, write: (writer: PayloadWriter) => void): void {
    const chunk = Buffer.allocUnsafe(bytes);
    write(new PayloadWriter(chunk, 0));
    this.list.push(chunk);
  }

  definition<T>(record: T, bytes: number, write: (target: Buffer, at: number, record: T) => void): void {
    const chunk = Buffer.allocUnsafe(4 + bytes);
    chunk.writeUInt32BE(bytes, 0);
    write(chunk, 4, record);
    this.list.push(chunk);
  }
}

export function writeSubscription(chunks: Chunks, subscription: Subscription): void {
  const record = {
    groupId: subscription.group.id,
    topicId: subscription.topic.id,
    startOffsets: subscription.cursors,
  };
  chunks.definition(record, subscriptionPutBytes(record), writeSubscriptionPut);
  const leases = [...subscription.leases.values()].sort(
    (a, b) => a.queueId - b.queueId || a.queueOffset - b.queueOffset,
  );
  let bytes = 4;
  for (const lease of leases) bytes += 32 + stringBytes(lease.renewedBy);
  chunks.fixed(bytes, (out) => {
    out.uint32(leases.length);
    for (const lease of leases) {
      out
        .uint16(lease.queueId)
        .uint64(lease.queueOffset)
        .uint16(lease.attempt)
        .uint64(lease.visibleAtMs)
        .uint32(lease.popId)
        .string(lease.renewedBy)
        .uint64(lease.lane);
    }
  });
}

export function readSubscription(state: BrokerState, reader: PayloadReader): Subscription {
  const definition = reader.view(reader.uint32());
  const subscription = state.subscribe(readSubscriptionPut(definition, 0, definition.length));
  if (subscription === undefined) throw new Error('a snapshot holds a subscription without its topic or group');
  for (let left = reader.uint32(); left > 0; left--) {
    const lease: Lease = {
      queueId: reader.uint16(),
      queueOffset: reader.uint64(),
      attempt: reader.uint16(),
      visibleAtMs: reader.uint64(),
      popId: reader.uint32(),
      renewedBy: reader.string(),
      lane: reader.uint64(),
      live: true,
      ready: false,
      turn: 0,
    };
    subscription.restore(lease);
  }
  state.leases += subscription.leases.size;
  return subscription;
}
