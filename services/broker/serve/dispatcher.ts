// Serves the receives of one group in one topic, one after the other: answers at once when there is something, lets
// them wait otherwise, and wakes them when a message is committed or a lease runs out. Nothing here polls.

import type { MessageFilter, PopCommand, PoppedMessage, PopResult } from '@fulmar/core/broker-api.ts';
import type { Outcome } from '@fulmar/core/errors.ts';
import { failure, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Timer } from '@fulmar/core/ports.ts';
import { encodeReceiptHandle } from '@fulmar/core/receipt-handle.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import {
  changeInvisibleBytes,
  type PopRecord,
  popBytes,
  type QueueAdvance,
  writeChangeInvisible,
  writePop,
} from '../state/records/consumption.ts';
import { groupResetBytes, writeGroupReset } from '../state/records/offsets.ts';
import type { Subscription } from '../state/subscription.ts';
import { Agreement } from './agreement.ts';
import { Attempts } from './attempts.ts';
import { isSameFilter, type PreparedFilter, prepareFilter } from './filter.ts';
import { type Gathered, Gathering } from './gather.ts';
import { Ownership } from './ownership.ts';
import { PriorityTurns } from './priority-turns.ts';
import { Reservations } from './reservations.ts';
import type { Serving } from './serving.ts';
import { run, type Steps } from './steps.ts';
import { waitInStep } from './wait-in-step.ts';
import { Waiter, Waiters } from './waiters.ts';

const TIMER_MAX_MS = 3_600_000;
const UNSURE_MS = 500;

export class Dispatcher {
  readonly subscription: Subscription;
  readonly reservations = new Reservations();
  readonly agreement: Agreement;
  private readonly serving: Serving;
  private readonly waiters = new Waiters();
  private working = false;
  private again = false;
  private nextQueue = 0;
  private readonly turns = new PriorityTurns();
  private readonly attempts = new Attempts();
  private dueTimer: Timer | undefined;
  private dueTimerAtMs = Number.POSITIVE_INFINITY;
  private unsureTimer: Timer | undefined;
  /** How waits end and receives are answered from now on, after it was closed. */
  private closedWith: PopResult | undefined;
  /** Reasons to hand out nothing, such as a reset whose record is not committed yet. */
  private holds = 0;
  /** Counts them, and moves of queues: what was gathered before one is not handed out behind it. */
  private generation = 0;
  /** Only in an exclusive group. */
  private owned: Ownership | undefined;
  private readonly membersKnownAtMs: number;
  /** The filter that was prepared last: nearly every receive comes with the same one. */
  private prepared: { readonly from: MessageFilter; readonly filter: Outcome<PreparedFilter> } | undefined;

  /** See `Agreement` for `membersKnownAtMs`. */
  constructor(subscription: Subscription, serving: Serving, membersKnownAtMs: number) {
    this.subscription = subscription;
    this.serving = serving;
    this.membersKnownAtMs = membersKnownAtMs;
    this.agreement = new Agreement(subscription, serving, membersKnownAtMs);
  }

  /** Answers as soon as there is a message, or with an empty list after `waitMs`. `cancel` ends the wait. */
  pop(command: PopCommand, resolve: (result: PopResult) => void): () => void {
    return this.enter(command, false, resolve);
  }

  /** The same without any wait for a message that is not there. */
  popNow(command: PopCommand, resolve: (result: PopResult) => void): () => void {
    return this.enter(command, true, resolve);
  }

  private enter(command: PopCommand, hurries: boolean, resolve: (result: PopResult) => void): () => void {
    if (this.closedWith !== undefined) {
      resolve(this.closedWith);
      return () => {};
    }
    if (this.waiters.size >= this.serving.bounds.waitersPerSubscription) {
      resolve(failure('TOO_MANY_REQUESTS', 'Too many receives of this group wait on this topic. Use fewer consumers.'));
      return () => {};
    }
    const { value: filter, fault } = this.filterOf(command);
    if (fault !== undefined) {
      resolve({ fault });
      return () => {};
    }
    this.releaseAttempt(command.attemptId);
    const waiter = new Waiter(command, filter, hurries, resolve);
    this.waiters.add(waiter);
    this.ownership()?.note(command.clientId);
    this.serve();
    if (!waiter.over && !hurries) {
      const waitMs = waitInStep(command.waitMs, this.serving.committer.nowMs());
      waiter.timer = this.serving.timers.after(waitMs, () => this.finish(waiter, success([])));
    }
    return () => this.finish(waiter, success([]));
  }

  /** The consumer is about to receive. The queues that are its own, if each belongs to one consumer. */
  join(clientId: string): readonly number[] | undefined {
    const ownership = this.ownership();
    ownership?.note(clientId);
    return ownership?.planFor(clientId);
  }

  /** The consumer has left; if it is not certain, a receive of it that waits shows that it is there. */
  left(clientId: string, isCertain: boolean): void {
    const isHere = !isCertain && this.waiters.find(({ command }) => command.clientId === clientId) !== undefined;
    if (!isHere) this.owned?.leave(clientId);
  }

  /** There as long as the group is exclusive. The queues of a priority topic are its priorities, and nobody's. */
  private ownership(): Ownership | undefined {
    const isExclusive = this.subscription.group.consume === 'exclusive' && !this.subscription.byPriority;
    if (isExclusive === (this.owned !== undefined)) return this.owned;
    this.generation++;
    this.owned?.close();
    this.owned = undefined;
    if (!isExclusive || this.closedWith !== undefined) return undefined;
    const { subscription, reservations } = this;
    const { committer, timers, setHash, isOnline } = this.serving;
    const onChange = (): void => {
      this.generation++;
      this.serve();
    };
    const parts = { subscription, reservations, committer, timers, setHash, isOnline, onChange };
    this.owned = new Ownership(parts, this.membersKnownAtMs);
    this.owned.start();
    for (const { command } of this.waiters.all()) this.owned.note(command.clientId);
    return this.owned;
  }

  /** The answer to this logical receive was never seen: what it took may be handed out again. */
  releaseAttempt(attemptId: string): void {
    const earlier = attemptId === '' ? undefined : this.attempts.take(attemptId);
    if (earlier !== undefined) this.release(earlier);
  }

  /** The filter of a receive, if this consumer may receive with it. */
  private filterOf({ clientId, filter: from }: PopCommand): Outcome<PreparedFilter> {
    if (this.prepared === undefined || !isSameFilter(this.prepared.from, from)) {
      this.prepared = { from, filter: prepareFilter(from) };
    }
    const { filter } = this.prepared;
    if (filter.fault !== undefined) return filter;
    const { text } = filter.value;
    const before = this.agreement.filter;
    const refused = this.agreement.admit(clientId, text);
    if (refused !== undefined) return { fault: refused };
    // The consumers that wait with the one before ask with the new one by now, or are gone.
    if (text !== before) for (const waiter of this.waiters.all()) this.finish(waiter, success([]));
    return filter;
  }

  /** Goes on at these offsets of all queues; `done` is told whether the record is committed. */
  reset(queues: readonly QueueAdvance[], done: (committed: boolean) => void): void {
    const { committer } = this.serving;
    const payload = { groupId: this.subscription.group.id, topicId: this.subscription.topic.id, queues };
    this.hold();
    committer.append(
      { type: RECORD_TYPE.groupReset, payload },
      groupResetBytes(payload),
      writeGroupReset,
      (committed) => {
        if (committed) this.reservations.forgetCursors();
        done(committed);
        this.letGo();
      },
    );
  }

  /** Hands out nothing until `letGo` was called as often. */
  hold(): void {
    this.holds++;
    this.generation++;
  }

  letGo(): void {
    this.holds--;
    this.serve();
  }

  /** To be called after anything that may have made a message available. */
  serve(): void {
    if (this.closedWith !== undefined) return;
    if (this.working) {
      this.again = true;
      return;
    }
    this.working = true;
    do {
      this.again = false;
      if (this.holds > 0) {
        // Called again when the hold is over; a timer for what is due would only come back here at once.
        this.working = false;
        return;
      }
      if (!this.serving.committer.mayHandOut()) {
        this.working = false;
        this.dismissHurried();
        this.tryLater();
        return;
      }
      this.subscription.collectDue(this.serving.committer.nowMs());
      this.serving.deadLetters.sweep(this.subscription, this.reservations);
      const waiter = this.nextWaiter();
      if (waiter === undefined) break;
      const gathered = this.gather(waiter);
      if (gathered instanceof Promise) {
        gathered.then(
          (result) => this.resume(() => this.complete(waiter, result)),
          (error: unknown) => this.resume(() => this.refuse(waiter, error)),
        );
        return;
      }
      if (this.complete(waiter, gathered)) this.again = true;
      if (gathered.exhausted) {
        // Much was passed over; others have their turn before the search goes on.
        this.serving.timers.soon(() => this.resume(() => {}));
        return;
      }
    } while (this.again);
    this.working = false;
    this.dismissHurried();
    this.armTimer();
    const { subscription, serving } = this;
    if (subscription.singleLane && this.waiters.size === 0 && this.hasSomething()) serving.onAvailable(subscription);
  }

  private dismissHurried(): void {
    for (const waiter of this.waiters.allHurried()) this.finish(waiter, success([]));
  }

  /** Somebody else may lead by now; soon this replica will know. */
  private tryLater(): void {
    // A receive comes to a lite topic only when it is told that there is something.
    const isLeased = this.subscription.singleLane && this.subscription.leases.size > 0;
    if ((this.waiters.size === 0 && !isLeased) || this.unsureTimer !== undefined) return;
    this.unsureTimer = this.serving.timers.after(UNSURE_MS, () => {
      this.unsureTimer = undefined;
      this.serve();
    });
  }

  /** Ends every wait; after it nothing is handed out any more. What was handed out before stays reserved. */
  close(reason: PopResult): void {
    this.closedWith ??= reason;
    this.owned?.close();
    this.dueTimer?.cancel();
    this.unsureTimer?.cancel();
    for (const waiter of this.waiters.all()) this.finish(waiter, reason);
  }

  private resume(step: () => void): void {
    this.working = false;
    step();
    this.serve();
  }

  /** The one that has waited longest of those that something is there for. */
  private nextWaiter(): Waiter | undefined {
    const ownership = this.ownership();
    if (ownership === undefined) return this.hasSomething() ? this.waiters.first : undefined;
    const idle = new Set<string>();
    return this.waiters.find(({ command: { clientId } }) => {
      if (idle.has(clientId)) return false;
      if (this.hasSomethingOf(ownership.queuesOf(clientId))) return true;
      idle.add(clientId);
      return false;
    });
  }

  /** Whether there may be a message to hand out now. */
  hasSomething(): boolean {
    const { subscription } = this;
    if (subscription.hasReady()) return true;
    if (subscription.singleLane && subscription.leases.size + this.reservations.leaseCount > 0) return false;
    for (let queueId = 0; queueId < subscription.topic.nextOffsets.length; queueId++) {
      if (this.hasNew(queueId)) return true;
    }
    return false;
  }

  /** The highest priority that a receive would find now; -1 when there is nothing. */
  peekPriority(): number {
    const { subscription } = this;
    subscription.collectDue(this.serving.committer.nowMs());
    let highest = Math.max(-1, ...subscription.readyQueues());
    for (let queueId = highest + 1; queueId < subscription.topic.nextOffsets.length; queueId++) {
      if (this.hasNew(queueId)) highest = queueId;
    }
    return highest;
  }

  private hasSomethingOf(queues: ReadonlySet<number>): boolean {
    for (const queueId of queues) if (this.hasNew(queueId)) return true;
    return (
      queues.size > 0 &&
      this.subscription.hasReadyFor((lease) => queues.has(lease.queueId) && this.reservations.isFree(lease))
    );
  }

  private hasNew(queueId: number): boolean {
    const end = this.subscription.topic.nextOffsets[queueId] ?? 0;
    return end > this.reservations.cursor(this.subscription, queueId);
  }

  /** Length of the record with the message that comes next. Only where all messages are one lane. */
  headBytes(): number | Promise<number> {
    const [lease] = this.subscription.leases.values();
    return run(this.lengthAt(lease?.queueOffset ?? this.reservations.cursor(this.subscription, 0)));
  }

  private *lengthAt(queueOffset: number): Steps<number> {
    const entry = yield* this.serving.reader.entry(this.subscription.topic.id, 0, queueOffset);
    return entry?.length ?? 0;
  }

  private gather(waiter: Waiter): Gathered | Promise<Gathered> {
    const { command, filter } = waiter;
    const { log, reader } = this.serving;
    const firstQueue = this.nextQueue;
    this.nextQueue = (this.nextQueue + 1) % Math.max(1, this.subscription.topic.nextOffsets.length);
    // A consumer that never acknowledges cannot take more memory than this, nor can all of them together.
    const { bounds, committer: serving } = this.serving;
    const free = bounds.leasesTotal - serving.state.leases;
    const leasesMax = Math.min(bounds.leasesPerSubscription, this.subscription.leases.size + free);
    const request = {
      maxMessages: command.maxMessages,
      maxBytes: command.maxBytes,
      leasesMax,
      filter,
      firstQueue,
      queues: this.ownership()?.queuesOf(command.clientId),
      generation: this.generation,
      byPriority: this.subscription.byPriority
        ? { turns: this.turns, least: command.leastPriority ?? 0, nowMs: serving.nowMs() }
        : undefined,
    };
    return run(new Gathering(this.subscription, this.reservations, log, reader, request).steps());
  }

  /** Writes what was gathered and answers; true if the waiter at the head is another one now, or more may be found. */
  private complete(waiter: Waiter, gathered: Gathered): boolean {
    const { taken, parked, advances, dropped } = gathered;
    if (waiter.over || this.closedWith !== undefined || gathered.generation !== this.generation) {
      this.giveBack(gathered);
      return this.closedWith === undefined;
    }
    const { command } = waiter;
    if (taken.length + parked.length + advances.length + dropped.length === 0) {
      // One who wants high priorities only does not wait for them before those who take anything.
      if (command.leastPriority === undefined || gathered.exhausted) return false;
      this.finish(waiter, success([]));
      return true;
    }
    const { committer, random } = this.serving;
    const invisibleMs = command.autoRenew ? LIMITS.autoRenewMaxMs : command.invisibleMs;
    const record: PopRecord = {
      groupId: this.subscription.group.id,
      topicId: this.subscription.topic.id,
      popId: this.subscription.popIdOf(random.uint32()),
      visibleAtMs: committer.nowMs() + invisibleMs,
      renewedBy: command.autoRenew ? command.clientId : '',
      advances,
      taken,
      parked,
      dropped,
      client: command.autoRenew || taken.length === 0 ? undefined : command.clientId,
    };
    this.reservations.begin(record);
    // Order must survive a fail-over, so an ordered delivery waits until its lease is committed. Any other is answered
    // now: if its lease is lost the message is handed out again, which at-least-once allows. Nobody waits for its
    // record then, and the acknowledgement that soon follows takes it along to the disk.
    const answer = (): void => this.finish(waiter, success(this.answerOf(record, gathered, invisibleMs)));
    const waits = this.subscription.ordered && taken.length > 0;
    if (waits) this.detach(waiter);
    const done = (committed: boolean): void => {
      this.reservations.end(record);
      // This replica leads no more, but may come to lead again with the state that it has.
      if (!committed) this.giveBack(gathered);
      if (!waits) return;
      if (!committed) this.finish(waiter, UNKNOWN_FATE);
      else if (waiter.over) this.release(record);
      else answer();
    };
    const delivery = { type: RECORD_TYPE.pop, payload: record } as const;
    if (waits) committer.append(delivery, popBytes(record), writePop, done);
    else committer.appendUnhurried(delivery, popBytes(record), writePop, done);
    if (taken.length > 0 && command.attemptId !== '') this.attempts.note(command.attemptId, record);
    if (!waits && taken.length > 0) answer();
    return true;
  }

  private answerOf(record: PopRecord, { taken, messages }: Gathered, invisibleMs: number): readonly PoppedMessage[] {
    return taken.map(({ queueId, queueOffset, attempt }, i) => {
      const message = messages[i]!;
      return {
        receiptHandle: encodeReceiptHandle({
          setHash: this.serving.setHash,
          topicId: record.topicId,
          groupId: record.groupId,
          queueId,
          queueOffset,
          attempt,
          popId: record.popId,
        }),
        queueId,
        queueOffset,
        attempt,
        invisibleMs,
        bornAtMs: message.bornAtMs,
        storedAtMs: message.storedAtMs,
        userPart: message.userPart,
        systemPart: message.systemPart,
        body: message.body,
      };
    });
  }

  private giveBack({ taken, dropped }: Gathered): void {
    for (const { queueId, queueOffset } of [...taken, ...dropped]) {
      const lease = this.subscription.lease(queueId, queueOffset);
      if (lease !== undefined) this.subscription.putBackReady(lease);
    }
  }

  /** Hands back what an answer that nobody saw had taken: visible at once, and not counted as an attempt. */
  private release(record: PopRecord): void {
    const { groupId, topicId, popId, taken } = record;
    const visibleAtMs = this.serving.committer.nowMs();
    const leases = taken.map(({ queueId, queueOffset }) => ({
      queueId,
      queueOffset,
      popId,
      visibleAtMs,
      uncounted: true,
    }));
    const payload = { groupId, topicId, leases };
    const { committer } = this.serving;
    committer.append(
      { type: RECORD_TYPE.changeInvisible, payload },
      changeInvisibleBytes(payload),
      writeChangeInvisible,
    );
  }

  private refuse(waiter: Waiter, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.finish(waiter, failure('INTERNAL_SERVER_ERROR', `A stored message could not be read: ${text}`));
  }

  private finish(waiter: Waiter, result: PopResult): void {
    if (waiter.over) return;
    waiter.over = true;
    this.detach(waiter);
    waiter.resolve(result);
  }

  /** Takes the waiter out of the queue; its answer is decided or under way. */
  private detach(waiter: Waiter): void {
    waiter.timer?.cancel();
    this.waiters.remove(waiter);
  }

  private armTimer(): void {
    const dueMs = this.subscription.nextDueMs();
    if (this.closedWith !== undefined || dueMs === undefined || dueMs >= this.dueTimerAtMs) return;
    this.dueTimer?.cancel();
    this.dueTimerAtMs = dueMs;
    const delayMs = Math.min(Math.max(dueMs - this.serving.committer.nowMs(), 0), TIMER_MAX_MS);
    this.dueTimer = this.serving.timers.after(delayMs, () => {
      this.dueTimerAtMs = Number.POSITIVE_INFINITY;
      this.serve();
    });
  }
}

export const UNKNOWN_FATE: Outcome<never> = failure(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while this was being written, so it may or may not be stored. Repeat the request.',
);
