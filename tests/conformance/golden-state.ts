// The states whose snapshots lie in tests/golden/broker-state-v1 and later, one file for each version of the layout.
// Whatever changes, these files must be read for ever as they are read here. Run once, when a version is new:
// node tests/conformance/golden-state.ts <name> <file>.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MessageRecord } from '@fulmar/broker/state/records/message.ts';
import { writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import { BrokerState, type StateRecord } from '@fulmar/broker/state/state.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';

/** The version of the layout, and what of it. */
export type GoldenState = OldGoldenState | NewestGoldenState;
export type OldGoldenState = '1' | '2' | '2-transactions' | '2-schedules' | '2-membership';
export type NewestGoldenState = '3' | '3-timers' | '3-transactions' | '3-schedules' | '3-membership';

export const goldenStatePath = (name: GoldenState) =>
  fileURLToPath(new URL(`../golden/broker-state-v${name}`, import.meta.url));

const STARTED_AT_MS = 1_900_000_000_000;
const EMPTY = new Uint8Array(0);

export const goldenMessage = (i: number): MessageRecord => ({
  ...{
    topicId: 1,
    queueId: i % 2,
    tagHash: i,
    groupHash: 0,
    bornAtMs: STARTED_AT_MS + i,
    storedAtMs: STARTED_AT_MS + i,
  },
  ...{ deliverAtMs: 0, keyHashes: [], messageId: `id-${i}`, userPart: EMPTY, systemPart: EMPTY, body: EMPTY },
});

/** A topic, a group that has read some of it, one message under way, one handed out for the second time. */
const WITHOUT_SECTIONS: readonly StateRecord[] = [
  {
    type: RECORD_TYPE.topicPut,
    payload: { topicId: 1, name: 'golden/ü', type: 'normal', queues: 2, createdAtMs: STARTED_AT_MS },
  },
  {
    type: RECORD_TYPE.groupPut,
    payload: {
      ...{ groupId: 1, name: 'readers', fifo: false, consume: 'shared', fromEarliest: true, maxAttempts: 17 },
      ...{ backoffMs: [1_000, 5_000], createdAtMs: STARTED_AT_MS + 1 },
    },
  },
  { type: RECORD_TYPE.subscriptionPut, payload: { groupId: 1, topicId: 1, startOffsets: [0, 0] } },
  ...Array.from({ length: 6 }, (_unused, i): StateRecord => ({ type: RECORD_TYPE.message, payload: goldenMessage(i) })),
  {
    type: RECORD_TYPE.pop,
    payload: {
      ...{ groupId: 1, topicId: 1, popId: 9, visibleAtMs: 5_000, renewedBy: 'client-1', parked: [], dropped: [] },
      advances: [
        { queueId: 0, nextOffset: 2 },
        { queueId: 1, nextOffset: 1 },
      ],
      taken: [
        { queueId: 0, queueOffset: 0, attempt: 1, lane: 0 },
        { queueId: 0, queueOffset: 1, attempt: 1, lane: 0 },
        { queueId: 1, queueOffset: 0, attempt: 1, lane: 77 },
      ],
    },
  },
  {
    type: RECORD_TYPE.ack,
    payload: { groupId: 1, topicId: 1, leases: [{ queueId: 0, queueOffset: 0, popId: 9 }] },
  },
];

const delayed = (i: number) => ({ ...goldenMessage(i), deliverAtMs: STARTED_AT_MS + 1_000_000 + 10 * i });

/** The same, and delayed messages: one fired, one carried forward, one recalled, two that just wait. */
const WITH_TIMERS: readonly StateRecord[] = [
  ...WITHOUT_SECTIONS,
  ...Array.from(
    { length: 5 },
    (_unused, i): StateRecord => ({
      type: RECORD_TYPE.delayedMessage,
      payload: delayed(100 + i),
    }),
  ),
  { type: RECORD_TYPE.delayedFire, payload: { id: 1_100, message: delayed(100) } },
  { type: RECORD_TYPE.delayedCarry, payload: { id: 1_200, message: delayed(101) } },
  { type: RECORD_TYPE.delayedRecall, payload: { id: 1_300 } },
];

const half = (i: number): StateRecord => ({
  type: RECORD_TYPE.halfMessage,
  payload: { firstCheckAfterMs: 30_000, openForMs: 86_400_000, producer: `producer-${i}`, message: goldenMessage(i) },
});

const RECORD_BYTES = 100;
/** Transactions are named by the place of their half messages. */
const firstHalf = WITHOUT_SECTIONS.length * RECORD_BYTES;
const halfId = (i: number) => firstHalf + i * RECORD_BYTES;

/** The same with transactions: one open, one expired, one carried on, and one that ended in each way. */
const WITH_TRANSACTIONS: readonly StateRecord[] = [
  ...WITHOUT_SECTIONS,
  ...Array.from({ length: 6 }, (_unused, i) => half(10 + i)),
  {
    type: RECORD_TYPE.transactionChange,
    payload: { standings: [{ id: halfId(1), checks: 15, expired: true, nextAtMs: 77, untilMs: 99_000 }] },
  },
  { type: RECORD_TYPE.transactionCarry, payload: { id: halfId(2), message: goldenMessage(12) } },
  {
    type: RECORD_TYPE.transactionEnd,
    payload: { id: halfId(3), ended: 'commit', message: goldenMessage(13) },
  },
  { type: RECORD_TYPE.transactionEnd, payload: { id: halfId(4), ended: 'rollback' } },
  { type: RECORD_TYPE.transactionEnd, payload: { id: halfId(5), ended: 'forgotten' } },
];

const scheduled = (id: number, more = {}): StateRecord => ({
  type: RECORD_TYPE.schedulePut,
  payload: {
    ...{ id, topicId: 1, name: `schedule-${id}`, cron: '0 9 * * MON', timeZone: 'Europe/Berlin', paused: false },
    ...{ createdAtMs: STARTED_AT_MS, nextAtMs: STARTED_AT_MS + 60_000 },
    message: {
      ...{ type: 1, tag: 'tag', keys: ['a', 'b'], messageGroup: '' },
      ...{ userPart: Buffer.from('user'), systemPart: Buffer.from('system'), body: Buffer.from(`body ${id}`) },
    },
    ...more,
  },
});

/** The same with recurring messages: one that was sent, one that is paused, one that was deleted. */
const WITH_SCHEDULES: readonly StateRecord[] = [
  ...WITHOUT_SECTIONS,
  scheduled(1),
  scheduled(2, { paused: true }),
  scheduled(3),
  {
    type: RECORD_TYPE.scheduleFire,
    payload: {
      ...{ id: 1, dueAtMs: STARTED_AT_MS + 60_000, nextAtMs: STARTED_AT_MS + 120_000 },
      message: goldenMessage(20),
    },
  },
  { type: RECORD_TYPE.scheduleDelete, payload: { id: 3 } },
];

const SETTINGS = { fifo: false, fromEarliest: true, maxAttempts: 17, backoffMs: [1_000], createdAtMs: STARTED_AT_MS };

/** The same with an exclusive group whose queues belong to somebody, and a broadcasting group with two members. */
const WITH_MEMBERSHIP: readonly StateRecord[] = [
  ...WITHOUT_SECTIONS,
  { type: RECORD_TYPE.groupPut, payload: { groupId: 2, name: 'owners', consume: 'exclusive', ...SETTINGS } },
  { type: RECORD_TYPE.subscriptionPut, payload: { groupId: 2, topicId: 1, startOffsets: [0, 1] } },
  {
    type: RECORD_TYPE.queueOwners,
    payload: {
      ...{ groupId: 2, topicId: 1 },
      owners: [
        { queueId: 1, clientId: 'client-1' },
        { queueId: 0, clientId: 'client-ü' },
      ],
    },
  },
  { type: RECORD_TYPE.groupPut, payload: { groupId: 3, name: 'all', consume: 'broadcasting', ...SETTINGS } },
  ...[4, 5, 6].map(
    (memberId): StateRecord => ({
      type: RECORD_TYPE.memberPut,
      payload: { memberId, groupId: 3, clientId: `client-${memberId}`, createdAtMs: STARTED_AT_MS + memberId },
    }),
  ),
  { type: RECORD_TYPE.memberForget, payload: { id: 5 } },
  { type: RECORD_TYPE.subscriptionPut, payload: { groupId: 4, topicId: 1, startOffsets: [1, 2] } },
  { type: RECORD_TYPE.subscriptionFilter, payload: { groupId: 4, topicId: 1, filter: 'tags a' } },
  {
    type: RECORD_TYPE.pop,
    payload: {
      ...{ groupId: 4, topicId: 1, popId: 9, visibleAtMs: 5_000, renewedBy: 'client-4', parked: [], dropped: [] },
      advances: [{ queueId: 0, nextOffset: 2 }],
      taken: [{ queueId: 0, queueOffset: 1, attempt: 1, lane: 0 }],
    },
  },
];

const RECORDS: Readonly<Record<GoldenState, readonly StateRecord[]>> = {
  '1': WITHOUT_SECTIONS,
  '2': WITH_TIMERS,
  '2-transactions': WITH_TRANSACTIONS,
  '2-schedules': WITH_SCHEDULES,
  '2-membership': WITH_MEMBERSHIP,
  '3': WITHOUT_SECTIONS,
  '3-timers': WITH_TIMERS,
  '3-transactions': WITH_TRANSACTIONS,
  '3-schedules': WITH_SCHEDULES,
  '3-membership': WITH_MEMBERSHIP,
};

/** The records that a golden file holds the state of, in log order. */
export function goldenRecords(name: GoldenState): readonly StateRecord[] {
  return RECORDS[name];
}

export function goldenState(name: GoldenState): BrokerState {
  const state = new BrokerState();
  let position = 0;
  for (const record of goldenRecords(name)) {
    state.apply(record, position, RECORD_BYTES, 1_000 + position);
    position += RECORD_BYTES;
  }
  return state;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(process.argv[3]!, Buffer.concat(writeSnapshot(goldenState(process.argv[2] as GoldenState))));
}
