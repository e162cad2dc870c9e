// Under which numbers a record can be found again: the id of the message that it holds, and the keys which its producer
// gave it, each together with the topic. The numbers are written to disk; they belong to version 1 of the key file.
import { hash32, mix32 } from '@fulmar/core/hash.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { StateRecord } from '../state.ts';
import type { MessageRecord } from './message.ts';

const ID_SEED = 0x1d;
const TOPIC_FACTOR = 0x9e3779b1;

export function idKey(messageId: string): number {
  return hash32(messageId, ID_SEED);
}

/** `keyHash` is that of the message record. */
export function messageKey(topicId: number, keyHash: number): number {
  return mix32(keyHash ^ Math.imul(topicId, TOPIC_FACTOR));
}

/** The message that a record holds, whatever it says about it. */
export function messageIn(record: StateRecord): MessageRecord | undefined {
  switch (record.type) {
    case RECORD_TYPE.message:
    case RECORD_TYPE.delayedMessage:
      return record.payload;
    case RECORD_TYPE.deadLetter:
    case RECORD_TYPE.delayedFire:
    case RECORD_TYPE.delayedCarry:
    case RECORD_TYPE.halfMessage:
    case RECORD_TYPE.transactionEnd:
    case RECORD_TYPE.transactionCarry:
    case RECORD_TYPE.scheduleFire:
      return record.payload.message;
    default:
      return undefined;
  }
}

export function forEachKey(message: MessageRecord, visit: (hash: number) => void): void {
  visit(idKey(message.messageId));
  for (const keyHash of message.keyHashes) visit(messageKey(message.topicId, keyHash));
}
