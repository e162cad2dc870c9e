// The payload of the record by which another filter comes into force for a group in a topic. The text is that of the
// broker's own making, the same for all filters that let the same messages through; nothing is ever judged by it.
import { PayloadReader, PayloadWriter, stringBytes } from './bytes.ts';

const VERSION = 1;

export interface SubscriptionFilterRecord {
  readonly groupId: number;
  readonly topicId: number;
  readonly filter: string;
}

export function subscriptionFilterBytes(record: SubscriptionFilterRecord): number {
  return 9 + stringBytes(record.filter);
}

export function writeSubscriptionFilter(target: Buffer, at: number, record: SubscriptionFilterRecord): void {
  new PayloadWriter(target, at).uint8(VERSION).uint32(record.groupId).uint32(record.topicId).string(record.filter);
}

export function readSubscriptionFilter(bytes: Buffer, at: number, end: number): SubscriptionFilterRecord {
  const reader = new PayloadReader(bytes, at, end);
  const version = reader.uint8();
  if (version !== VERSION) {
    throw new Error(`filter payload version ${version} is newer than this program; run the version that wrote it`);
  }
  return { groupId: reader.uint32(), topicId: reader.uint32(), filter: reader.string() };
}
