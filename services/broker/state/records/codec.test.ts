import { CONSUME_MODES, TOPIC_TYPES } from '@fulmar/core/broker-api.ts';
import { epochStartBytes, writeEpochStart } from '@fulmar/core/epoch-start.ts';
import { DEAD_LETTER_REASONS } from '@fulmar/core/finding-api.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readStateRecord } from './codec.ts';
import * as consumption from './consumption.ts';
import { deadLetterBytes, writeDeadLetter } from './dead-letter.ts';
import * as definitions from './definitions.ts';
import { delayedCopyBytes, RECALL_BYTES, writeDelayedCopy, writeRecall } from './delayed.ts';
import * as lite from './lite.ts';
import * as membership from './membership.ts';
import { messagePayloadBytes, writeMessagePayload } from './message.ts';
import { groupResetBytes, PULL_OFFSET_BYTES, writeGroupReset, writePullOffset } from './offsets.ts';
import { redriveBytes, writeRedrive } from './redrive.ts';
import * as schedule from './schedule.ts';
import { subscriptionFilterBytes, writeSubscriptionFilter } from './subscription-filter.ts';
import * as transaction from './transaction.ts';

const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint53 = fc.maxSafeNat();
const name = fc.string({ unit: 'grapheme', maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

const message = fc.record({
  topicId: uint32,
  queueId: uint16,
  tagHash: uint32,
  groupHash: uint53,
  bornAtMs: uint53,
  storedAtMs: uint53,
  deliverAtMs: uint53,
  keyHashes: fc.array(uint32, { maxLength: 64 }),
  messageId: fc.string({ maxLength: 60 }),
  userPart: bytes,
  systemPart: bytes,
  body: bytes,
});
const place = { queueId: uint16, queueOffset: uint53 };

/** Each record type: what it may hold, how many bytes it says it needs, how it is written. */
const cases = [
  ['message', RECORD_TYPE.message, message, messagePayloadBytes, writeMessagePayload],
  ['delayedMessage', RECORD_TYPE.delayedMessage, message, messagePayloadBytes, writeMessagePayload],
  ['delayedFire', RECORD_TYPE.delayedFire, fc.record({ id: uint53, message }), delayedCopyBytes, writeDelayedCopy],
  ['delayedCarry', RECORD_TYPE.delayedCarry, fc.record({ id: uint53, message }), delayedCopyBytes, writeDelayedCopy],
  ['delayedRecall', RECORD_TYPE.delayedRecall, fc.record({ id: uint53 }), () => RECALL_BYTES, writeRecall],
  [
    'topicPut',
    RECORD_TYPE.topicPut,
    fc.record(
      {
        topicId: uint32,
        name,
        type: fc.constantFrom(...TOPIC_TYPES),
        queues: uint32,
        createdAtMs: uint53,
        placement: fc.record({ version: uint32, sets: fc.array(name, { minLength: 1, maxLength: 20 }) }),
        liteExpirationMs: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      },
      { requiredKeys: ['topicId', 'name', 'type', 'queues', 'createdAtMs'] },
    ),
    definitions.topicPutBytes,
    definitions.writeTopicPut,
  ],
  [
    'groupPut',
    RECORD_TYPE.groupPut,
    fc.record(
      {
        groupId: uint32,
        name,
        fifo: fc.boolean(),
        consume: fc.constantFrom(...CONSUME_MODES),
        fromEarliest: fc.boolean(),
        maxAttempts: uint32,
        backoffMs: fc.array(uint32, { maxLength: 20 }),
        createdAtMs: uint53,
        lite: fc.record({ topic: name, exclusive: fc.boolean() }),
      },
      {
        requiredKeys: [
          ...(['groupId', 'name', 'fifo', 'consume', 'fromEarliest', 'maxAttempts'] as const),
          ...(['backoffMs', 'createdAtMs'] as const),
        ],
      },
    ),
    definitions.groupPutBytes,
    definitions.writeGroupPut,
  ],
  [
    'topicDelete',
    RECORD_TYPE.topicDelete,
    fc.record({ id: uint32 }),
    () => definitions.DELETE_BYTES,
    definitions.writeDelete,
  ],
  [
    'epochStart',
    RECORD_TYPE.epochStart,
    fc.record({ storeUid: name, version: name }),
    epochStartBytes,
    writeEpochStart,
  ],
  [
    'subscriptionPut',
    RECORD_TYPE.subscriptionPut,
    fc.record({ groupId: uint32, topicId: uint32, startOffsets: fc.array(uint53) }),
    definitions.subscriptionPutBytes,
    definitions.writeSubscriptionPut,
  ],
  [
    'subscriptionDelete',
    RECORD_TYPE.subscriptionDelete,
    fc.record({ groupId: uint32, topicId: uint32 }),
    () => definitions.SUBSCRIPTION_DELETE_BYTES,
    definitions.writeSubscriptionDelete,
  ],
  [
    'schedulePut',
    RECORD_TYPE.schedulePut,
    fc.record({
      ...{ id: uint32, topicId: uint32, name, cron: name, timeZone: name, paused: fc.boolean() },
      ...{ createdAtMs: uint53, nextAtMs: uint53 },
      message: fc.record({
        ...{ type: fc.integer({ min: 0, max: 255 }), tag: name, keys: fc.array(name, { maxLength: 5 }) },
        ...{ messageGroup: name, userPart: bytes, systemPart: bytes, body: bytes },
      }),
    }),
    schedule.schedulePutBytes,
    schedule.writeSchedulePut,
  ],
  [
    'scheduleDelete',
    RECORD_TYPE.scheduleDelete,
    fc.record({ id: uint32 }),
    () => schedule.SCHEDULE_DELETE_BYTES,
    schedule.writeScheduleDelete,
  ],
  [
    'scheduleFire',
    RECORD_TYPE.scheduleFire,
    fc.record({ id: uint32, dueAtMs: uint53, nextAtMs: uint53, message }),
    schedule.scheduleFireBytes,
    schedule.writeScheduleFire,
  ],
  [
    'subscriptionFilter',
    RECORD_TYPE.subscriptionFilter,
    fc.record({ groupId: uint32, topicId: uint32, filter: name }),
    subscriptionFilterBytes,
    writeSubscriptionFilter,
  ],
  [
    'groupReset',
    RECORD_TYPE.groupReset,
    fc.record({
      ...{ groupId: uint32, topicId: uint32 },
      queues: fc.array(fc.record({ queueId: uint16, nextOffset: uint53 })),
    }),
    groupResetBytes,
    writeGroupReset,
  ],
  [
    'pullOffset',
    RECORD_TYPE.pullOffset,
    fc.record({ groupId: uint32, topicId: uint32, queueId: uint16, offset: uint53 }),
    () => PULL_OFFSET_BYTES,
    writePullOffset,
  ],
  [
    'memberPut',
    RECORD_TYPE.memberPut,
    fc.record({ memberId: uint32, groupId: uint32, clientId: name, createdAtMs: uint53 }),
    membership.memberPutBytes,
    membership.writeMemberPut,
  ],
  [
    'memberForget',
    RECORD_TYPE.memberForget,
    fc.record({ id: uint32 }),
    () => definitions.DELETE_BYTES,
    definitions.writeDelete,
  ],
  [
    'queueOwners',
    RECORD_TYPE.queueOwners,
    fc.record({
      ...{ groupId: uint32, topicId: uint32 },
      owners: fc.array(fc.record({ queueId: uint16, clientId: name })),
    }),
    membership.queueOwnersBytes,
    membership.writeQueueOwners,
  ],
  [
    'pop',
    RECORD_TYPE.pop,
    fc.record({
      groupId: uint32,
      topicId: uint32,
      popId: uint32,
      visibleAtMs: uint53,
      renewedBy: name,
      advances: fc.array(fc.record({ queueId: uint16, nextOffset: uint53 })),
      taken: fc.array(fc.record({ ...place, attempt: uint16, lane: uint53 })),
      parked: fc.array(fc.record({ ...place, lane: uint53 })),
      dropped: fc.array(fc.record(place)),
      client: fc.option(
        name.filter((text) => text !== ''),
        { nil: undefined },
      ),
    }),
    consumption.popBytes,
    consumption.writePop,
  ],
  [
    'ack',
    RECORD_TYPE.ack,
    fc.record({ groupId: uint32, topicId: uint32, leases: fc.array(fc.record({ ...place, popId: uint32 })) }),
    consumption.ackBytes,
    consumption.writeAck,
  ],
  [
    'changeInvisible',
    RECORD_TYPE.changeInvisible,
    fc.record({
      groupId: uint32,
      topicId: uint32,
      leases: fc.array(fc.record({ ...place, popId: uint32, visibleAtMs: uint53, uncounted: fc.boolean() })),
    }),
    consumption.changeInvisibleBytes,
    consumption.writeChangeInvisible,
  ],
  [
    'clientGone',
    RECORD_TYPE.clientGone,
    fc.record({ clientId: name, visibleAtMs: uint53 }),
    consumption.clientGoneBytes,
    consumption.writeClientGone,
  ],
  [
    'deadLetter',
    RECORD_TYPE.deadLetter,
    fc.record({
      ...{ groupId: uint32, topicId: uint32, ...place, message },
      ...{ reason: fc.constantFrom(...DEAD_LETTER_REASONS), attempts: uint16, firstStoredAtMs: uint53 },
    }),
    deadLetterBytes,
    writeDeadLetter,
  ],
  [
    'redrive',
    RECORD_TYPE.redrive,
    fc.record({
      ...{ groupId: uint32, letterTopicId: uint32, again: fc.boolean(), forgetBefore: uint53 },
      letters: fc.array(fc.record({ letterOffset: uint53, topicId: uint32, ...place, lane: uint53 })),
    }),
    redriveBytes,
    writeRedrive,
  ],
  [
    'halfMessage',
    RECORD_TYPE.halfMessage,
    fc.record({ firstCheckAfterMs: uint32, openForMs: uint53, producer: name, message }),
    transaction.halfMessageBytes,
    transaction.writeHalfMessage,
  ],
  [
    'transactionEnd',
    RECORD_TYPE.transactionEnd,
    fc.oneof(
      fc.record({ id: uint53, ended: fc.constant('commit' as const), message }),
      fc.record({ id: uint53, ended: fc.constantFrom('rollback' as const, 'forgotten' as const) }),
    ),
    transaction.transactionEndBytes,
    transaction.writeTransactionEnd,
  ],
  [
    'transactionChange',
    RECORD_TYPE.transactionChange,
    fc.record({
      standings: fc.array(
        fc.record({ id: uint53, checks: uint16, expired: fc.boolean(), nextAtMs: uint53, untilMs: uint53 }),
      ),
    }),
    transaction.transactionChangeBytes,
    transaction.writeTransactionChange,
  ],
  [
    'transactionCarry',
    RECORD_TYPE.transactionCarry,
    fc.record({ id: uint53, message }),
    transaction.transactionCarryBytes,
    transaction.writeTransactionCarry,
  ],
  [
    'liteTopicPut',
    RECORD_TYPE.liteTopicPut,
    fc.record({ topicId: uint32, parentId: uint32, createdAtMs: uint53, name }),
    lite.liteTopicPutBytes,
    lite.writeLiteTopicPut,
  ],
  [
    'liteExpire',
    RECORD_TYPE.liteExpire,
    fc.record({ topicId: uint32, nextOffset: uint53 }),
    () => lite.LITE_EXPIRE_BYTES,
    lite.writeLiteExpire,
  ],
  [
    'liteSubscribe',
    RECORD_TYPE.liteSubscribe,
    fc.record({ groupId: uint32, clientId: name, gone: fc.boolean(), added: fc.array(name), removed: fc.array(name) }),
    lite.liteSubscribeBytes,
    lite.writeLiteSubscribe,
  ],
  [
    'postpone',
    RECORD_TYPE.postpone,
    fc.record({ groupId: uint32, topicId: uint32, ...place, popId: uint32, visibleAtMs: uint53, attempt: uint16 }),
    () => lite.POSTPONE_BYTES,
    lite.writePostpone,
  ],
] as const;

describe('record payloads', () => {
  test.each(cases)(
    '%s: what is written is what is read, in exactly the announced bytes',
    (_, type, values, size, write) => {
      fc.assert(
        fc.property(values as fc.Arbitrary<object>, (value) => {
          const length = (size as (value: object) => number)(value);
          const target = Buffer.alloc(length + 20, 0xee);
          (write as (target: Buffer, at: number, value: object) => void)(target, 10, value);
          expect(target.subarray(0, 10)).toEqual(Buffer.alloc(10, 0xee));
          expect(target.subarray(10 + length)).toEqual(Buffer.alloc(10, 0xee));
          const record = readStateRecord(type, target, 10, 10 + length);
          expect(record).toEqual({ type, payload: value });
        }),
        { numRuns: 200 },
      );
    },
  );

  test.each(cases)('%s: a newer payload version is refused by name', (_, type, values, size, write) => {
    const [value] = fc.sample(values as fc.Arbitrary<object>, { numRuns: 1, seed: 1 });
    const target = Buffer.alloc((size as (value: object) => number)(value!));
    (write as (target: Buffer, at: number, value: object) => void)(target, 0, value!);
    target[0] = 99;
    expect(() => readStateRecord(type, target, 0, target.length)).toThrow(/version 99/);
  });

  test('a topic that was written by the first version has no placement', () => {
    const written = Buffer.from(
      '01'.concat('00000007', '01', '00000003', '0000000000000009', '0005', '2ebc726465'),
      'hex',
    );
    written.write('order', written.length - 5, 'latin1');
    expect(readStateRecord(RECORD_TYPE.topicPut, written, 0, written.length)).toEqual({
      type: RECORD_TYPE.topicPut,
      payload: { topicId: 7, type: 'fifo', queues: 3, createdAtMs: 9, name: 'order' },
    });
  });

  test('a dead letter that was written by the first version has no reason, and a pop of then no client', () => {
    const [letter] = fc.sample(fc.record({ groupId: uint32, topicId: uint32, ...place, message }), {
      numRuns: 1,
      seed: 1,
    });
    const whole = { ...letter!, reason: 'client', attempts: 7, firstStoredAtMs: 9 } as const;
    const target = Buffer.alloc(deadLetterBytes(whole));
    writeDeadLetter(target, 0, whole);
    // Eleven bytes less: that is what was written then.
    expect(readStateRecord(RECORD_TYPE.deadLetter, target, 0, target.length - 11)).toEqual({
      type: RECORD_TYPE.deadLetter,
      payload: { ...letter!, reason: 'unknown', attempts: 0, firstStoredAtMs: 0 },
    });
    const pop = { groupId: 1, topicId: 2, popId: 3, visibleAtMs: 4, renewedBy: '', client: 'client' };
    const lists = { advances: [], taken: [], parked: [], dropped: [] };
    const bytes = Buffer.alloc(consumption.popBytes({ ...pop, ...lists }));
    consumption.writePop(bytes, 0, { ...pop, ...lists });
    expect(readStateRecord(RECORD_TYPE.pop, bytes, 0, bytes.length - 8)).toEqual({
      type: RECORD_TYPE.pop,
      payload: { ...pop, ...lists, client: undefined },
    });
  });

  test('groups that are not exclusive are written as they were before there were such, and read', () => {
    const settings = { fifo: true, fromEarliest: true, maxAttempts: 3, backoffMs: [1_000] };
    const group = { groupId: 7, name: 'g', ...settings, createdAtMs: 9 };
    const written = (consume: 'shared' | 'broadcasting' | 'exclusive'): string => {
      const target = Buffer.alloc(definitions.groupPutBytes({ ...group, consume }));
      definitions.writeGroupPut(target, 0, { ...group, consume });
      return target.toString('hex');
    };
    const before = (version: string, flags: string): string =>
      `${version}00000007${flags}0000000300000000000000090001000003e8000167`;
    expect(written('shared')).toBe(before('01', '05'));
    expect(written('broadcasting')).toBe(before('01', '07'));
    expect(written('exclusive')).toBe(before('02', '0d'));
  });

  test('a topic and a group without lite topics are written in the versions that earlier programs read', () => {
    const topic = { topicId: 7, type: 'lite', queues: 3, createdAtMs: 9, name: 'chats' } as const;
    const settings = { fifo: false, consume: 'shared' as const, fromEarliest: false, maxAttempts: 3, backoffMs: [1] };
    const group = { groupId: 5, name: 'readers', ...settings, createdAtMs: 8 };
    const binding = { topic: 'chats', exclusive: true };
    const written = (size: number, write: (target: Buffer) => void): string => {
      const target = Buffer.alloc(size);
      write(target);
      return target.toString('hex');
    };
    const topicBytes = (record: definitions.TopicPutRecord): string =>
      written(definitions.topicPutBytes(record), (target) => definitions.writeTopicPut(target, 0, record));
    const groupBytes = (record: definitions.GroupPutRecord): string =>
      written(definitions.groupPutBytes(record), (target) => definitions.writeGroupPut(target, 0, record));
    expect(topicBytes(topic)).toBe('02000000070500000003000000000000000900056368617473000000000000');
    expect(topicBytes({ ...topic, liteExpirationMs: 60_000 })).toBe(
      '03000000070500000003000000000000000900056368617473000000000000000000000000ea60',
    );
    expect(groupBytes(group)).toBe('010000000500000000030000000000000008000100000001000772656164657273');
    expect(groupBytes({ ...group, lite: binding })).toBe(
      '03000000051000000003000000000000000800010000000100077265616465727300056368617473',
    );
  });

  test('a record type of the future is refused by number', () => {
    expect(() => readStateRecord(250, Buffer.alloc(0), 0, 0)).toThrow(/type 250/);
  });
});
