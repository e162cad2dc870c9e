// Mistakes that a programmer could make in the consuming half of the broker, each put into the running program by
// replacing one of its parts. A simulation that does not find them proves nothing about a broker without them.
import { Committer } from '@fulmar/broker/committer.ts';
import { PriorityTurns } from '@fulmar/broker/serve/priority-turns.ts';
import { Reservations } from '@fulmar/broker/serve/reservations.ts';
import { Upcoming } from '@fulmar/broker/serve/upcoming.ts';
import { DelayedMessages } from '@fulmar/broker/state/delayed-messages.ts';
import { RecentMessageIds } from '@fulmar/broker/state/recent-message-ids.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';

/** Puts the mistake in and returns what takes it out again. */
export type PlantedMistake = () => () => void;

function replaced<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): () => void {
  const original = Object.getOwnPropertyDescriptor(target, key)!;
  Object.defineProperty(target, key, { ...original, value });
  return () => Object.defineProperty(target, key, original);
}

const { append } = Committer.prototype;
const { applyAck, applyChange, applyPop, takeReady } = Subscription.prototype;
const { next } = PriorityTurns.prototype;
const { apply } = BrokerState.prototype;
const { rowBytes } = RecentMessageIds.prototype;
const { takeDue, nextMs } = Upcoming.prototype;

export const CONSUMPTION_MISTAKES: Readonly<Record<string, PlantedMistake>> = {
  'a repeated send is stored again': () => replaced(RecentMessageIds.prototype, 'find', () => undefined),

  'the ids of recent messages are lost in a snapshot': () =>
    replaced(RecentMessageIds.prototype, 'rowBytes', function (this: RecentMessageIds) {
      return rowBytes.call(this).fill(0);
    }),

  'a message falls due for somebody else while its acknowledgement is being written': () =>
    replaced(Reservations.prototype, 'beginSettling', () => {}),

  'a lane lets a message go while the one before it is on its way': () =>
    replaced(Reservations.prototype, 'holdsLane', () => false),

  'every twentieth acknowledgement is forgotten': () => {
    let count = 0;
    return replaced(Subscription.prototype, 'applyAck', function (this: Subscription, record, logTimeMs) {
      return ++count % 20 === 0 ? 0 : applyAck.call(this, record, logTimeMs);
    });
  },

  'a negative acknowledgement takes an attempt back': () =>
    replaced(Subscription.prototype, 'applyChange', function (this: Subscription, record) {
      applyChange.call(this, { ...record, leases: record.leases.map((lease) => ({ ...lease, uncounted: true })) });
    }),

  'a lease ends a second too early': () =>
    replaced(Subscription.prototype, 'applyPop', function (this: Subscription, record, logTimeMs) {
      applyPop.call(this, { ...record, visibleAtMs: record.visibleAtMs - 1_000 }, logTimeMs);
    }),

  'a parked message is forgotten': () =>
    replaced(Subscription.prototype, 'applyPop', function (this: Subscription, record, logTimeMs) {
      applyPop.call(this, { ...record, parked: record.parked.slice(1) }, logTimeMs);
    }),

  'a dead letter leaves its lease behind': () =>
    replaced(BrokerState.prototype, 'apply', function (this: BrokerState, record, ...place) {
      if (record.type !== RECORD_TYPE.deadLetter) return apply.call(this, record, ...place);
      return apply.call(this, { type: RECORD_TYPE.message, payload: record.payload.message }, ...place);
    }),

  'a dead letter is not copied': () =>
    replaced(BrokerState.prototype, 'apply', function (this: BrokerState, record, ...place) {
      const placed = apply.call(this, record, ...place);
      return record.type === RECORD_TYPE.deadLetter ? undefined : placed;
    }),

  'a delayed message is delivered a second too early': () => {
    const undoNext = replaced(Upcoming.prototype, 'nextMs', function (this: Upcoming) {
      const atMs = nextMs.call(this);
      return atMs === undefined ? undefined : atMs - 1_000;
    });
    const undoTake = replaced(Upcoming.prototype, 'takeDue', function (this: Upcoming, nowMs) {
      return takeDue.call(this, nowMs + 1_000);
    });
    return () => {
      undoNext();
      undoTake();
    };
  },

  'a delayed message that was delivered goes on waiting': () =>
    replaced(BrokerState.prototype, 'apply', function (this: BrokerState, record, ...place) {
      if (record.type !== RECORD_TYPE.delayedFire) return apply.call(this, record, ...place);
      return apply.call(this, { type: RECORD_TYPE.message, payload: record.payload.message }, ...place);
    }),

  'delayed messages are lost in a snapshot': () =>
    replaced(DelayedMessages.prototype, 'rowBytes', () => Buffer.alloc(0)),

  'a recall is forgotten': () =>
    replaced(BrokerState.prototype, 'apply', function (this: BrokerState, record, ...place) {
      return apply.call(
        this,
        record.type === RECORD_TYPE.delayedRecall ? { type: RECORD_TYPE.tick } : record,
        ...place,
      );
    }),

  'the lowest priority comes first': () =>
    replaced(PriorityTurns.prototype, 'next', function (this: PriorityTurns, waiting, isWanted, nowMs) {
      const lowest = waiting.findLast(isWanted);
      return next.call(this, waiting, (priority) => priority === lowest, nowMs);
    }),

  'a message that comes again has lost its priority': () => {
    const undoQueues = replaced(Subscription.prototype, 'readyQueues', function (this: Subscription) {
      return this.hasReady() ? [0] : [];
    });
    const undoTake = replaced(Subscription.prototype, 'takeReady', function (this: Subscription, accept, queueId) {
      return queueId === undefined || queueId === 0 ? takeReady.call(this, accept) : undefined;
    });
    return () => {
      undoQueues();
      undoTake();
    };
  },

  'the flag of the group alone says whether a FIFO topic is consumed in order': () => {
    const original = Object.getOwnPropertyDescriptor(Subscription.prototype, 'ordered')!;
    Object.defineProperty(Subscription.prototype, 'ordered', {
      ...original,
      get(this: Subscription) {
        return this.group.fifo;
      },
    });
    return () => Object.defineProperty(Subscription.prototype, 'ordered', original);
  },

  'an acknowledgement is answered before it is committed': () =>
    replaced(Committer.prototype, 'append', function (this: Committer, record, bytes, write, done) {
      if (record.type !== RECORD_TYPE.ack) return append.call(this, record, bytes, write as never, done);
      append.call(this, record, bytes, write as never);
      done?.(true, undefined);
    } as Committer['append']),
};
