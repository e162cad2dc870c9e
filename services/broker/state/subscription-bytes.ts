// One subscription as snapshots have it: where it stands in each queue, and its leases.
//
//   u32 length, ids and cursors as in the record that makes a subscription
//   u32 leases: u16 queue, u64 offset, u16 attempt, u64 visible at, u32 pop id, text of the client, u64 lane
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

export function subscriptionBytes(subscription: Subscription): Buffer {
  const record = {
    groupId: subscription.group.id,
    topicId: subscription.topic.id,
    startOffsets: subscription.cursors,
  };
  const leases = [...subscription.leases.values()].sort(
    (a, b) => a.queueId - b.queueId || a.queueOffset - b.queueOffset,
  );
  const definitionBytes = subscriptionPutBytes(record);
  let bytes = 8 + definitionBytes;
  for (const lease of leases) bytes += 32 + stringBytes(lease.renewedBy);
  const chunk = Buffer.allocUnsafe(bytes);
  chunk.writeUInt32BE(definitionBytes, 0);
  writeSubscriptionPut(chunk, 4, record);
  const writer = new PayloadWriter(chunk, 4 + definitionBytes).uint32(leases.length);
  for (const lease of leases) {
    writer
      .uint16(lease.queueId)
      .uint64(lease.queueOffset)
      .uint16(lease.attempt)
      .uint64(lease.visibleAtMs)
      .uint32(lease.popId)
      .string(lease.renewedBy)
      .uint64(lease.lane);
  }
  return chunk;
}

/** Its topic and its group, or member, are in the state already. */
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
