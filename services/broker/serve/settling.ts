// Acknowledgements, changes of invisibility and give-backs: checks a receipt handle against the lease that it names
// and writes the change. All acknowledgements of one turn of the event loop that belong to one group and topic become
// one record. A stale handle never touches the lease of a later delivery.
import type { AckCommand, ChangeInvisibleCommand } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import { decodeReceiptHandle, type ReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import { backoffOf } from '../state/groups.ts';
import {
  ackBytes,
  type ChangedLease,
  changeInvisibleBytes,
  type LeaseName,
  type MessagePlace,
  writeAck,
  writeChangeInvisible,
} from '../state/records/consumption.ts';
import { POSTPONE_BYTES, writePostpone } from '../state/records/lite.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Dispatcher } from './dispatcher.ts';

const INVALID = fault(
  'INVALID_RECEIPT_HANDLE',
  'This receipt handle is not valid, or its invisible time is over. Receive the message again.',
);

const UNKNOWN_FATE = fault(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while this was being written, so it may or may not count. Repeat the request.',
);

/** What a handle turns out to name. */
export type Named =
  | { readonly kind: 'held'; readonly handle: ReceiptHandle; readonly subscription: Subscription }
  | { readonly kind: 'settled' }
  | { readonly kind: 'invalid' };

interface AckBatch {
  readonly leases: LeaseName[];
  readonly waiting: ((fault: Fault | undefined) => void)[];
}

export class Settling {
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly dispatcherOf: (subscription: Subscription) => Dispatcher;
  private readonly timers: Timers;
  private readonly setHash: number;
  private readonly batches = new Map<Subscription, AckBatch>();

  constructor(
    state: BrokerState,
    committer: Committer,
    dispatcherOf: (subscription: Subscription) => Dispatcher,
    timers: Timers,
    setHash: number,
  ) {
    this.state = state;
    this.committer = committer;
    this.dispatcherOf = dispatcherOf;
    this.timers = timers;
    this.setHash = setHash;
  }

  ack({ group, topic, receiptHandles }: AckCommand): Promise<readonly (Fault | undefined)[]> {
    return new Promise((resolve) => {
      const faults = new Array<Fault | undefined>(receiptHandles.length);
      let left = receiptHandles.length;
      if (left === 0) resolve(faults);
      for (let i = 0; i < receiptHandles.length; i++) {
        this.ackOne(group, topic, receiptHandles[i]!, (found) => {
          faults[i] = found;
          if (--left === 0) resolve(faults);
        });
      }
    });
  }

  private ackOne(group: string, topic: string, text: string, done: (found: Fault | undefined) => void): void {
    const named = this.find(group, topic, text);
    if (named.kind !== 'held') {
      done(named.kind === 'invalid' ? INVALID : undefined);
      return;
    }
    const { subscription, handle } = named;
    this.dispatcherOf(subscription).reservations.beginSettling(handle.queueId, handle.queueOffset);
    let batch = this.batches.get(subscription);
    if (batch === undefined) {
      batch = { leases: [], waiting: [] };
      this.batches.set(subscription, batch);
      this.timers.soon(() => this.writeBatch(subscription));
    }
    batch.leases.push({ queueId: handle.queueId, queueOffset: handle.queueOffset, popId: handle.popId });
    batch.waiting.push(done);
  }

  private writeBatch(subscription: Subscription): void {
    const batch = this.batches.get(subscription);
    if (batch === undefined) return;
    this.batches.delete(subscription);
    const payload = { groupId: subscription.group.id, topicId: subscription.topic.id, leases: batch.leases };
    this.committer.append({ type: RECORD_TYPE.ack, payload }, ackBytes(payload), writeAck, (committed) => {
      this.endSettling(subscription, payload.leases);
      for (const resolve of batch.waiting) resolve(committed ? undefined : UNKNOWN_FATE);
    });
  }

  changeInvisible(command: ChangeInvisibleCommand): Promise<Fault | undefined> {
    const { invisibleMs } = command;
    if (!(invisibleMs >= 0 && invisibleMs <= LIMITS.invisibleMaxMs)) {
      return Promise.resolve(
        fault('ILLEGAL_INVISIBLE_TIME', `An invisible time is 0 to ${LIMITS.invisibleMaxMs} ms. Choose one of these.`),
      );
    }
    const named = this.find(command.group, command.topic, command.receiptHandle);
    if (named.kind !== 'held') return Promise.resolve(INVALID);
    const { handle, subscription } = named;
    const atLeastMs = command.raiseToBackoff ? backoffOf(subscription.group, handle.attempt) : 0;
    const visibleAtMs = this.committer.nowMs() + Math.ceil(Math.max(invisibleMs, atLeastMs));
    if (command.suspend) return this.postpone(subscription, handle, visibleAtMs);
    return this.change(subscription, [leaseOf(handle, visibleAtMs, false)]);
  }

  async release(command: AckCommand): Promise<void> {
    const bySubscription = new Map<Subscription, ChangedLease[]>();
    const visibleAtMs = this.committer.nowMs();
    for (const text of command.receiptHandles) {
      const named = this.find(command.group, command.topic, text);
      if (named.kind !== 'held') continue;
      const leases = bySubscription.get(named.subscription) ?? [];
      leases.push(leaseOf(named.handle, visibleAtMs, true));
      bySubscription.set(named.subscription, leases);
    }
    await Promise.all([...bySubscription].map(([subscription, leases]) => this.change(subscription, leases)));
  }

  private postpone(subscription: Subscription, handle: ReceiptHandle, visibleAtMs: number): Promise<Fault | undefined> {
    const { groupId, topicId, queueId, queueOffset, popId } = handle;
    const payload = { groupId, topicId, queueId, queueOffset, popId, visibleAtMs, attempt: handle.attempt - 1 };
    this.dispatcherOf(subscription).reservations.beginSettling(queueId, queueOffset);
    return new Promise((resolve) => {
      this.committer.append({ type: RECORD_TYPE.postpone, payload }, POSTPONE_BYTES, writePostpone, (committed) => {
        this.endSettling(subscription, [handle]);
        resolve(committed ? undefined : UNKNOWN_FATE);
      });
    });
  }

  private change(subscription: Subscription, leases: readonly ChangedLease[]): Promise<Fault | undefined> {
    const payload = { groupId: subscription.group.id, topicId: subscription.topic.id, leases };
    const { reservations } = this.dispatcherOf(subscription);
    for (const { queueId, queueOffset } of leases) reservations.beginSettling(queueId, queueOffset);
    return new Promise((resolve) => {
      this.committer.append(
        { type: RECORD_TYPE.changeInvisible, payload },
        changeInvisibleBytes(payload),
        writeChangeInvisible,
        (committed) => {
          this.endSettling(subscription, leases);
          resolve(committed ? undefined : UNKNOWN_FATE);
        },
      );
    });
  }

  private endSettling(subscription: Subscription, leases: readonly MessagePlace[]): void {
    const { reservations } = this.dispatcherOf(subscription);
    for (const { queueId, queueOffset } of leases) reservations.endSettling(queueId, queueOffset);
  }

  /** What a handle names, given that it was presented for this group and topic. */
  find(groupName: string, topicName: string, text: string): Named {
    const handle = decodeReceiptHandle(text);
    if (handle === undefined || handle.setHash !== this.setHash) return { kind: 'invalid' };
    const subscription = this.state.subscription(handle.groupId, handle.topicId);
    if (subscription === undefined) return { kind: 'invalid' };
    if (subscription.group.name !== groupName || subscription.topic.name !== topicName) return { kind: 'invalid' };
    const { queueId, queueOffset, popId } = handle;
    const lease = subscription.lease(queueId, queueOffset);
    if (lease?.popId === popId) {
      return lease.visibleAtMs > this.committer.nowMs() ? { kind: 'held', handle, subscription } : { kind: 'invalid' };
    }
    // A delivery that is answered before its record is committed is known to the reservations only.
    const holder = this.dispatcherOf(subscription).reservations.holder(queueId, queueOffset);
    if (holder?.popId === popId) return { kind: 'held', handle, subscription };
    // From before a reset: what it settled then may be handed out again now.
    if (!subscription.isFromLastReset(popId)) return { kind: 'invalid' };
    if (lease === undefined && holder === undefined && queueOffset < subscription.cursor(queueId)) {
      return { kind: 'settled' };
    }
    return { kind: 'invalid' };
  }
}

function leaseOf(
  { queueId, queueOffset, popId }: ReceiptHandle,
  visibleAtMs: number,
  uncounted: boolean,
): ChangedLease {
  return { queueId, queueOffset, popId, visibleAtMs, uncounted };
}
