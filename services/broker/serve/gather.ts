// Chooses the messages of one receive: first those that are due again, then new ones from every queue in turn; in a
// priority topic the higher priority first. It decides and reads, but changes nothing of the state: the outcome is a
// pop record for the log and the messages for the answer.

import { type CommitLog, type IndexEntry, queueKeyOf } from '../log/log.ts';
import type { Lease } from '../state/lease.ts';
import type { MessagePlace, ParkedMessage, QueueAdvance, TakenMessage } from '../state/records/consumption.ts';
import type { MessageRecord } from '../state/records/message.ts';
import type { Subscription } from '../state/subscription.ts';
import type { PreparedFilter } from './filter.ts';
import type { PriorityTurns } from './priority-turns.ts';
import type { MessageReader } from './reading.ts';
import type { Reservations } from './reservations.ts';
import { awaited, type Steps } from './steps.ts';

/**
 * What one gathering spends on looking, so that a filter that nothing passes cannot hold up everybody else: an entry of
 * the index costs one, a message that is read to be judged costs four and its comparisons.
 */
const SCAN_MAX = 4_096;
const READ_COST = 4;
const SCAN_CHUNK = 256;
/** Messages that are read together to be judged. */
const JUDGED_BYTES_MAX = 1_048_576;

export interface GatherRequest {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly filter: PreparedFilter;
  /** Leases that the subscription may have, those it has included; beyond it nothing new is handed out. */
  readonly leasesMax: number;
  /** Where the turn of the queues begins. */
  readonly firstQueue: number;
  /** The only queues that messages are taken of; undefined for all. */
  readonly queues: ReadonlySet<number> | undefined;
  /** Which decisions about the whole group had been made when this began. */
  readonly generation: number;
  /** Of a priority topic only. */
  readonly byPriority: ByPriority | undefined;
}

/** How a priority topic is served. */
export interface ByPriority {
  readonly turns: PriorityTurns;
  /** Nothing of a lower priority is wanted. */
  readonly least: number;
  readonly nowMs: number;
}

export interface Gathered {
  readonly taken: TakenMessage[];
  /** In the order of `taken`. */
  readonly messages: MessageRecord[];
  readonly parked: ParkedMessage[];
  readonly advances: QueueAdvance[];
  readonly dropped: MessagePlace[];
  /** It looked at as much as one gathering may, and there may be more. */
  exhausted: boolean;
  /** As in the request: what was gathered before such a decision is not handed out behind it. */
  readonly generation: number;
}

/** A lane for the messages of a queue that name no message group. */
function laneOfQueue(queueId: number): number {
  return Number.MAX_SAFE_INTEGER - queueId;
}

/** The lane of a message in the subscription, 0 where order does not matter. */
export function laneOf(subscription: Subscription, queueId: number, groupHash: number): number {
  return subscription.ordered ? groupHash || laneOfQueue(queueId) : 0;
}

interface QueueCursor {
  readonly queueId: number;
  readonly from: number;
  next: number;
}

/** A lease and which of its turns it was taken in: in a later one it is back among those that are due by itself. */
interface Due {
  readonly lease: Lease;
  readonly turn: number;
}

interface ChosenEntry {
  readonly queueId: number;
  readonly lane: number;
  readonly entry: IndexEntry;
  /** If it was read already, to be judged. */
  readonly message: MessageRecord | undefined;
}

export class Gathering {
  private readonly subscription: Subscription;
  private readonly reservations: Reservations;
  private readonly log: CommitLog;
  private readonly reader: MessageReader;
  private readonly request: GatherRequest;
  private readonly result: Gathered;
  private readonly lanesTaken = new Set<number>();
  private readonly passedOver: Due[] = [];
  /** All that were due and are looked at, with those passed over. */
  private readonly looked: Due[] = [];
  private bytes = 0;
  private scanned = 0;
  private full = false;

  constructor(
    subscription: Subscription,
    reservations: Reservations,
    log: CommitLog,
    reader: MessageReader,
    request: GatherRequest,
  ) {
    this.subscription = subscription;
    this.reservations = reservations;
    this.log = log;
    this.reader = reader;
    this.request = request;
    const { generation } = request;
    this.result = { taken: [], messages: [], parked: [], advances: [], dropped: [], exhausted: false, generation };
  }

  *steps(): Steps<Gathered> {
    const { byPriority } = this.request;
    try {
      if (byPriority !== undefined) yield* this.takeByPriority(byPriority);
      else {
        yield* this.takeDue(this.request.maxMessages);
        if (!this.full) yield* this.takeNew();
      }
    } catch (error) {
      // A message could not be read. Nothing is handed out now, and everything as soon as it can be read.
      this.putBack(this.looked);
      throw error;
    }
    this.putBack(this.passedOver);
    this.result.exhausted = this.scanned >= SCAN_MAX;
    return this.result;
  }

  private putBack(due: readonly Due[]): void {
    for (const { lease, turn } of due) if (lease.turn === turn) this.subscription.putBackReady(lease);
  }

  /**
   * Always from the priority whose turn it is. Its queue is looked at to the end, as far as that is allowed, before a
   * lower one has its turn.
   */
  private *takeByPriority({ turns, least, nowMs }: ByPriority): Steps<void> {
    const { result, request } = this;
    const cursors = new Map(this.newMessages(0).map((cursor) => [cursor.queueId, cursor]));
    const exhausted = new Set<number>();
    const isWanted = (priority: number): boolean => priority >= least && !exhausted.has(priority);
    while (!this.full && this.scanned < SCAN_MAX) {
      const turn = turns.next(this.prioritiesWaiting(cursors.values()), isWanted, nowMs);
      if (turn === undefined) break;
      const before = { taken: result.taken.length, scanned: this.scanned };
      const enough = Math.min(before.taken + turn.most, request.maxMessages);
      yield* this.takeDue(enough, turn.priority);
      const cursor = cursors.get(turn.priority);
      if (cursor !== undefined && !this.full && result.taken.length < enough) {
        const chosen: ChosenEntry[] = [];
        yield* this.chooseFrom(cursor, enough - result.taken.length, chosen);
        yield* this.takeChosen(chosen);
      }
      if (this.scanned === before.scanned) exhausted.add(turn.priority);
      turns.handedOut(turn, result.taken.length - before.taken);
    }
    this.advance(cursors.values());
  }

  /** The highest first. */
  private prioritiesWaiting(cursors: Iterable<QueueCursor>): readonly number[] {
    const { nextOffsets } = this.subscription.topic;
    const waiting = new Set(this.subscription.readyQueues());
    for (const { queueId, next } of cursors) if (next < nextOffsets[queueId]!) waiting.add(queueId);
    return [...waiting].sort((a, b) => b - a);
  }

  /** With a queue only what is due there, until so many messages are taken in all. */
  private *takeDue(enough: number, queueOnly?: number): Steps<void> {
    const { subscription, reservations, result } = this;
    const { maxAttempts } = subscription.group;
    while (!this.full && this.scanned < SCAN_MAX && result.taken.length < enough) {
      const lease = subscription.takeReady(
        (of) => of.attempt < maxAttempts && this.isAllowed(of.queueId) && reservations.isFree(of),
        queueOnly,
      );
      if (lease === undefined) return;
      this.scanned += this.judgingCost;
      const due = { lease, turn: lease.turn };
      this.looked.push(due);
      const { queueId, queueOffset, lane } = lease;
      const entry = yield* this.reader.entry(subscription.topic.id, queueId, queueOffset);
      const message = entry === undefined ? undefined : yield* this.reader.message(entry);
      if (!lease.live) continue;
      if (message === undefined) {
        // Retention has removed it: nobody can be given it any more.
        result.dropped.push({ queueId, queueOffset });
        continue;
      }
      if (!this.request.filter.passes(message)) {
        // It was handed out while another filter was in force; no member of the group wants it any more.
        result.dropped.push({ queueId, queueOffset });
        continue;
      }
      if (!this.fits(entry!)) {
        this.passedOver.push(due);
        return;
      }
      this.take(message, { queueId, queueOffset, attempt: lease.attempt + 1, lane });
    }
  }

  /**
   * Every queue that has something gives its share first, and only then more: so no queue is starved, and what is read
   * together lies close together in the log.
   */
  private *takeNew(): Steps<void> {
    const cursors = this.newMessages(this.request.firstQueue);
    const chosen: ChosenEntry[] = [];
    const share = Math.ceil((this.request.maxMessages - this.result.taken.length) / Math.max(1, cursors.length));
    for (const quota of [share, this.request.maxMessages]) {
      for (const cursor of cursors) {
        if (this.full || this.scanned >= SCAN_MAX) break;
        yield* this.chooseFrom(cursor, quota, chosen);
      }
    }
    yield* this.takeChosen(chosen);
    this.advance(cursors);
  }

  /** Where new messages begin in each queue that has some. */
  private newMessages(firstQueue: number): QueueCursor[] {
    const { nextOffsets } = this.subscription.topic;
    const queues = nextOffsets.length;
    const cursors: QueueCursor[] = [];
    for (let i = 0; i < queues; i++) {
      const queueId = (firstQueue + i) % queues;
      if (!this.isAllowed(queueId)) continue;
      const from = this.reservations.cursor(this.subscription, queueId);
      if (from < nextOffsets[queueId]!) cursors.push({ queueId, from, next: from });
    }
    return cursors;
  }

  private advance(cursors: Iterable<QueueCursor>): void {
    for (const { queueId, from, next } of cursors) {
      if (next > from) this.result.advances.push({ queueId, nextOffset: next });
    }
  }

  private *chooseFrom(cursor: QueueCursor, quota: number, chosen: ChosenEntry[]): Steps<void> {
    const { topic } = this.subscription;
    const { queueId } = cursor;
    const key = queueKeyOf(topic.id, queueId);
    const most = chosen.length + quota;
    let chunk = most - chosen.length;
    while (!this.full && this.scanned < SCAN_MAX && chosen.length < most) {
      const end = topic.nextOffsets[queueId]!;
      if (cursor.next >= end) return;
      const count = Math.min(this.chooses ? SCAN_CHUNK : most - chosen.length, end - cursor.next);
      const entries = yield* awaited(this.log.entries(key, cursor.next, this.reads ? Math.min(chunk, count) : count));
      if (entries.length === 0) {
        // Retention has removed them.
        cursor.next = yield* awaited(this.log.minOffset(key, end));
        continue;
      }
      const judged = this.reads ? startWithin(entries, JUDGED_BYTES_MAX) : entries;
      const messages = this.reads ? yield* this.reader.messages(judged) : undefined;
      for (let i = 0; i < judged.length; i++) {
        const entry = judged[i]!;
        const message = messages?.[i];
        const isWanted = messages === undefined || (message !== undefined && this.request.filter.passes(message));
        if (chosen.length >= most || !this.consider(queueId, entry, isWanted, message, chosen)) return;
        cursor.next = entry.queueOffset + 1;
        this.scanned += this.judgingCost;
      }
      // As long as little passes, more is looked at in one go; what is read and not needed is read again later.
      chunk *= 2;
    }
  }

  private *takeChosen(chosen: ChosenEntry[]): Steps<void> {
    chosen.sort((a, b) => a.entry.position - b.entry.position);
    const messages = this.reads
      ? chosen.map(({ message }) => message)
      : yield* this.reader.messages(chosen.map(({ entry }) => entry));
    for (let i = 0; i < chosen.length; i++) {
      const message = messages[i];
      if (message === undefined || !(this.reads || this.request.filter.passes(message))) continue;
      const { queueId, lane, entry } = chosen[i]!;
      this.take(message, { queueId, queueOffset: entry.queueOffset, attempt: 1, lane });
    }
  }

  private isAllowed(queueId: number): boolean {
    return this.request.queues?.has(queueId) !== false;
  }

  /** Whether not every message that is looked at will be taken. */
  private get chooses(): boolean {
    if (this.subscription.singleLane) return false;
    return this.subscription.ordered || this.request.filter.tagHashes !== undefined || this.reads;
  }

  /** Whether every message has to be read before it is chosen. */
  private get reads(): boolean {
    return this.request.filter.cost > 0;
  }

  private get judgingCost(): number {
    return this.reads ? READ_COST + this.request.filter.cost : 1;
  }

  /** Decides about one new message; false if it has to stay for the next receive. */
  private consider(
    queueId: number,
    entry: IndexEntry,
    isWanted: boolean,
    message: MessageRecord | undefined,
    chosen: ChosenEntry[],
  ): boolean {
    const { subscription, result, request } = this;
    if (this.scanned >= SCAN_MAX) return false;
    const { queueOffset, tagHash, groupHash } = entry;
    if (!isWanted || request.filter.tagHashes?.has(tagHash) === false) return true;
    if (this.leasesHeld() + chosen.length >= request.leasesMax) {
      this.full = true;
      return false;
    }
    const lane = laneOf(subscription, queueId, groupHash);
    if (subscription.singleLane && this.isLaneTaken(lane)) {
      this.full = true;
      return false;
    }
    if (lane !== 0 && this.isLaneTaken(lane)) {
      result.parked.push({ queueId, queueOffset, lane });
      return true;
    }
    if (result.taken.length + chosen.length >= request.maxMessages) {
      this.full = true;
      return false;
    }
    if (!this.fits(entry, chosen.length)) return false;
    chosen.push({ queueId, lane, entry, message });
    if (lane !== 0) this.lanesTaken.add(lane);
    return true;
  }

  /** An earlier message of the lane is not settled, or is in this answer. */
  private isLaneTaken(lane: number): boolean {
    return this.subscription.lanes.has(lane) || this.reservations.holdsLane(lane) || this.lanesTaken.has(lane);
  }

  private leasesHeld(): number {
    const { taken, parked } = this.result;
    return this.subscription.leases.size + this.reservations.leaseCount + taken.length + parked.length;
  }

  private fits(entry: IndexEntry, chosen = 0): boolean {
    if (this.result.taken.length + chosen === 0 || this.bytes + entry.length <= this.request.maxBytes) {
      this.bytes += entry.length;
      return true;
    }
    this.full = true;
    return false;
  }

  private take(message: MessageRecord, taken: TakenMessage): void {
    this.result.taken.push(taken);
    this.result.messages.push(message);
    if (taken.lane !== 0) this.lanesTaken.add(taken.lane);
    if (this.result.taken.length >= this.request.maxMessages) this.full = true;
  }
}

/** The first entries that are together no larger than this; one at least. */
function startWithin(entries: readonly IndexEntry[], bytesMax: number): readonly IndexEntry[] {
  let bytes = 0;
  let count = 0;
  while (count < entries.length && (count === 0 || bytes + entries[count]!.length <= bytesMax)) {
    bytes += entries[count++]!.length;
  }
  return count === entries.length ? entries : entries.slice(0, count);
}
