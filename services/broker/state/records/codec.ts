// From the type and payload bytes of a record to what the state understands. The inverse stands with each payload.
import { readEpochStart } from '@fulmar/core/epoch-start.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { StateRecord } from '../state.ts';
import { readAck, readChangeInvisible, readClientGone, readPop } from './consumption.ts';
import { readDeadLetter } from './dead-letter.ts';
import { readDelete, readGroupPut, readSubscriptionDelete, readSubscriptionPut, readTopicPut } from './definitions.ts';
import { readDelayedCopy, readRecall } from './delayed.ts';
import { readLiteExpire, readLiteSubscribe, readLiteTopicPut, readPostpone } from './lite.ts';
import { readMemberPut, readQueueOwners } from './membership.ts';
import { readMessagePayload } from './message.ts';
import { readGroupReset, readPullOffset } from './offsets.ts';
import { readRedrive } from './redrive.ts';
import { readScheduleDelete, readScheduleFire, readSchedulePut } from './schedule.ts';
import { readSubscriptionFilter } from './subscription-filter.ts';
import { readHalfMessage, readTransactionCarry, readTransactionChange, readTransactionEnd } from './transaction.ts';

/** Decodes the payload in `bytes[at, end)`. Throws on a type or version that this program does not know. */
export function readStateRecord(type: number, bytes: Buffer, at: number, end: number): StateRecord {
  switch (type) {
    case RECORD_TYPE.segmentStart:
    case RECORD_TYPE.tick:
      return { type };
    case RECORD_TYPE.epochStart:
      return { type, payload: readEpochStart(bytes, at, end) };
    case RECORD_TYPE.topicPut:
      return { type, payload: readTopicPut(bytes, at, end) };
    case RECORD_TYPE.topicDelete:
    case RECORD_TYPE.groupDelete:
    case RECORD_TYPE.memberForget:
      return { type, payload: readDelete(bytes, at, end) };
    case RECORD_TYPE.groupPut:
      return { type, payload: readGroupPut(bytes, at, end) };
    case RECORD_TYPE.subscriptionPut:
      return { type, payload: readSubscriptionPut(bytes, at, end) };
    case RECORD_TYPE.message:
    case RECORD_TYPE.delayedMessage:
      return { type, payload: readMessagePayload(bytes, at, end) };
    case RECORD_TYPE.pop:
      return { type, payload: readPop(bytes, at, end) };
    case RECORD_TYPE.ack:
      return { type, payload: readAck(bytes, at, end) };
    case RECORD_TYPE.changeInvisible:
      return { type, payload: readChangeInvisible(bytes, at, end) };
    case RECORD_TYPE.deadLetter:
      return { type, payload: readDeadLetter(bytes, at, end) };
    case RECORD_TYPE.clientGone:
      return { type, payload: readClientGone(bytes, at, end) };
    case RECORD_TYPE.delayedFire:
    case RECORD_TYPE.delayedCarry:
      return { type, payload: readDelayedCopy(bytes, at, end) };
    case RECORD_TYPE.delayedRecall:
      return { type, payload: readRecall(bytes, at, end) };
    case RECORD_TYPE.halfMessage:
      return { type, payload: readHalfMessage(bytes, at, end) };
    case RECORD_TYPE.transactionEnd:
      return { type, payload: readTransactionEnd(bytes, at, end) };
    case RECORD_TYPE.transactionChange:
      return { type, payload: readTransactionChange(bytes, at, end) };
    case RECORD_TYPE.transactionCarry:
      return { type, payload: readTransactionCarry(bytes, at, end) };
    case RECORD_TYPE.subscriptionFilter:
      return { type, payload: readSubscriptionFilter(bytes, at, end) };
    case RECORD_TYPE.groupReset:
      return { type, payload: readGroupReset(bytes, at, end) };
    case RECORD_TYPE.pullOffset:
      return { type, payload: readPullOffset(bytes, at, end) };
    case RECORD_TYPE.memberPut:
      return { type, payload: readMemberPut(bytes, at, end) };
    case RECORD_TYPE.queueOwners:
      return { type, payload: readQueueOwners(bytes, at, end) };
    case RECORD_TYPE.redrive:
      return { type, payload: readRedrive(bytes, at, end) };
    case RECORD_TYPE.liteTopicPut:
      return { type, payload: readLiteTopicPut(bytes, at, end) };
    case RECORD_TYPE.liteExpire:
      return { type, payload: readLiteExpire(bytes, at, end) };
    case RECORD_TYPE.liteSubscribe:
      return { type, payload: readLiteSubscribe(bytes, at, end) };
    case RECORD_TYPE.postpone:
      return { type, payload: readPostpone(bytes, at, end) };
    case RECORD_TYPE.schedulePut:
      return { type, payload: readSchedulePut(bytes, at, end) };
    case RECORD_TYPE.scheduleDelete:
      return { type, payload: readScheduleDelete(bytes, at, end) };
    case RECORD_TYPE.scheduleFire:
      return { type, payload: readScheduleFire(bytes, at, end) };
    case RECORD_TYPE.subscriptionDelete:
      return { type, payload: readSubscriptionDelete(bytes, at, end) };
    default:
      throw new Error(`the log holds a record of type ${type}, which this program does not know; run a newer version`);
  }
}
