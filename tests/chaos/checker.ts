// Judges a whole run by what its clients wrote down, after everything was healed and drained. Linear in the number of
// events. Verdicts are sentences about single messages; what is allowed but worth knowing is counted and explained.
import type { AckEvent, DeliverEvent, HistoryEvent, SendEvent, StoredMessage } from './history.ts';
import { OrderJudge } from './order.ts';

export type Verdict =
  | 'lost'
  | 'forged'
  | 'doubled in the log'
  | 'returned after ack'
  | 'overlap'
  | 'order'
  | 'attempts'
  | 'stuck';

export interface Violation {
  readonly verdict: Verdict;
  readonly key: string;
  readonly text: string;
  /** When it was seen; undefined for what never came. */
  readonly atMs?: number;
}

/** From the beginning of a fault until everything was in order again. */
export interface FaultWindow {
  readonly fault: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface ConsumerGroup {
  readonly name: string;
  readonly topic: string;
  readonly fifo: boolean;
  /** How long its consumers keep a message before it comes again. */
  readonly invisibleMs: number;
  readonly maxAttempts: number;
  /** Of a group whose clients settle by themselves, out of our sight, only order between deliveries is judged. */
  readonly showsAcks: boolean;
}

export interface Evidence {
  readonly events: readonly HistoryEvent[];
  readonly stored: readonly StoredMessage[];
  readonly groups: readonly ConsumerGroup[];
  readonly windows: readonly FaultWindow[];
  /** Messages that some group still has to settle after the drain, in words. */
  readonly stuck: readonly string[];
}

export interface Judgement {
  readonly violations: readonly Violation[];
  readonly sent: number;
  readonly acknowledged: number;
  /** Sends that the client gave up on: how many, and how many of them are in the log. */
  readonly unknown: number;
  readonly unknownStored: number;
  readonly delivered: number;
  /** Deliveries beyond the first of a message to a group, by reason. */
  readonly repeated: Readonly<Record<RepeatReason, number>>;
  /** Moments of the repeated deliveries, to count them by fault. */
  readonly repeatedAtMs: readonly number[];
  /** Messages without a message group that a fault between two attempts of their send has brought to two sets. */
  readonly inTwoSets: number;
}

/**
 * `late`: the answer of an older lease that was still under way. `two sets`: the other copy of a message that a
 * repeated send has brought to a second broker set.
 */
export type RepeatReason = 'lease ran out' | 'refused' | 'fault' | 'late' | 'two sets';

/** The broker counts a lease from before the client sees the message, which is long before on a busy machine. */
const LEASE_TOLERANCE_MS = 1_000;
/** Connections find their way back for a while after a fault. */
const AFTERMATH_MS = 20_000;

interface Sent {
  readonly invoke: SendEvent;
  end?: SendEvent;
}

/** One message in the eyes of one consumer group. */
interface Progress {
  deliveries: number;
  last: DeliverEvent;
  highestAttempt: number;
  /** Asked for again since its last delivery. */
  isRefused: boolean;
  ackedOk?: AckEvent;
}

export function judge({ events, stored, groups, windows, stuck }: Evidence): Judgement {
  const violations: Violation[] = [];
  const say = (verdict: Verdict, key: string, text: string, atMs?: number) =>
    violations.push({ verdict, key, text, ...(atMs === undefined ? {} : { atMs }) });

  // First, because what a stuck group has not got is called lost below.
  for (const text of stuck) say('stuck', '', text);

  const sends = new Map<string, Sent>();
  for (const event of events) {
    if (event.event !== 'send') continue;
    const known = sends.get(event.key);
    if (event.state === 'invoke') sends.set(event.key, { invoke: event });
    else if (known !== undefined) known.end = event;
  }
  const isForged = (key: string) => sends.get(key) === undefined || sends.get(key)?.end?.state === 'fail';

  const touchesFault = (fromMs: number, untilMs: number) =>
    windows.some((window) => window.fromMs <= untilMs && fromMs <= window.toMs + AFTERMATH_MS);
  /** The producer repeats by itself what got no answer; if its set is away by then, another one takes the message. */
  const isExcused = (sent: Sent | undefined, one: StoredMessage, other: StoredMessage) =>
    sent?.invoke.group === undefined &&
    sent?.end !== undefined &&
    one.messageId === other.messageId &&
    one.set !== other.set &&
    touchesFault(sent.invoke.atMs, sent.end.atMs);

  const inLog = new Map<string, StoredMessage>();
  const idsInLog = new Set<string>();
  const twins = new Set<string>();
  for (const message of stored) {
    if (isForged(message.key)) say('forged', message.key, 'is in the log, and nobody has stored it');
    const same = inLog.get(message.key);
    if (same !== undefined && isExcused(sends.get(message.key), same, message)) twins.add(message.key);
    else if (same !== undefined) {
      const how = idsInLog.has(message.messageId) ? 'under one message id' : 'under two message ids';
      say('doubled in the log', message.key, `is there twice, ${how}: ${same.messageId}, ${message.messageId}`);
    }
    inLog.set(message.key, message);
    idsInLog.add(message.messageId);
  }

  const repeated: Record<RepeatReason, number> = { 'lease ran out': 0, refused: 0, fault: 0, late: 0, 'two sets': 0 };
  const repeatedAtMs: number[] = [];
  const seen = new Map<ConsumerGroup, Map<string, Progress>>(groups.map((group) => [group, new Map()]));
  const orders = new Map(groups.filter(({ fifo }) => fifo).map((group) => [group, new OrderJudge(group, say)]));
  const groupOf = new Map(groups.map((group) => [`${group.name} ${group.topic}`, group]));

  const deliver = (event: DeliverEvent, group: ConsumerGroup, progress: Map<string, Progress>) => {
    const { key, attempt, atMs } = event;
    if (isForged(key)) say('forged', key, `was delivered to ${group.name}, and nobody has sent it`, atMs);
    if (attempt < 1 || attempt > group.maxAttempts) {
      say('attempts', key, `was delivered to ${group.name} as attempt ${attempt}`, atMs);
    }
    const before = progress.get(key);
    if (before === undefined) {
      progress.set(key, { deliveries: 1, last: event, highestAttempt: attempt, isRefused: false });
      return true;
    }
    before.deliveries++;
    repeatedAtMs.push(atMs);
    const { last, ackedOk } = before;
    if (twins.has(key)) {
      repeated['two sets']++;
      return false;
    }
    const isLate = attempt < before.highestAttempt;
    if (isLate) {
      repeated.late++;
      return false;
    }
    if (ackedOk !== undefined) {
      const since = Math.round(atMs - ackedOk.atMs);
      say('returned after ack', key, `came to ${group.name} as attempt ${attempt}, ${since} ms after an OK`, atMs);
    }
    if (group.fifo && attempt === before.highestAttempt) {
      say('attempts', key, `came to ${group.name} twice as attempt ${attempt}`, atMs);
    }
    const ranOut = atMs - last.atMs >= group.invisibleMs - LEASE_TOLERANCE_MS;
    if (before.isRefused) repeated.refused++;
    else if (ranOut || !group.showsAcks) repeated['lease ran out']++;
    else if (touchesFault(last.atMs, atMs) && !group.fifo) repeated.fault++;
    else {
      const after = Math.round(atMs - last.atMs);
      say('overlap', key, `came to ${group.name} again after ${after} ms, while the lease before still ran`, atMs);
    }
    before.last = event;
    before.isRefused = false;
    before.highestAttempt = attempt;
    return true;
  };

  let delivered = 0;
  for (const event of events) {
    if (event.event === 'send') {
      for (const [group, order] of orders) if (group.topic === event.topic) order.sent(event);
      continue;
    }
    const group = groupOf.get(`${event.consumerGroup} ${event.topic}`);
    if (group === undefined) continue;
    const progress = seen.get(group)!;
    if (event.event === 'deliver') {
      delivered++;
      if (deliver(event, group, progress)) orders.get(group)?.delivered(event);
    } else if (event.event === 'refuse') {
      const about = progress.get(event.key);
      if (about !== undefined) about.isRefused = true;
    } else {
      const about = progress.get(event.key);
      if (event.state === 'ok' && about !== undefined) about.ackedOk = event;
      orders.get(group)?.acknowledged(event);
    }
  }

  let acknowledged = 0;
  let unknown = 0;
  let unknownStored = 0;
  for (const [key, { invoke, end }] of sends) {
    if (end?.state === 'fail') continue;
    if (end?.state !== 'ok') {
      unknown++;
      if (inLog.has(key)) unknownStored++;
      continue;
    }
    acknowledged++;
    if (!inLog.has(key)) say('lost', key, `was answered OK and is not in the log`, end.atMs);
    for (const group of groups) {
      if (group.topic !== invoke.topic || seen.get(group)!.has(key)) continue;
      say('lost', key, `was answered OK and never came to ${group.name}`, end.atMs);
    }
  }
  return {
    violations,
    sent: sends.size,
    acknowledged,
    unknown,
    unknownStored,
    delivered,
    repeated,
    repeatedAtMs,
    inTwoSets: twins.size,
  };
}
