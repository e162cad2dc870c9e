// Judges the histories of all producers and consumers of a simulated cluster: what was acknowledged has one place for
// ever, reaches every group, never comes again after an acknowledgement that was answered OK, and lies among the dead
// letters when its attempts are used up. What policies allow to be lost is taken back first. It keeps the first promise
// that was broken.
import { Violation } from './log-model.ts';

export interface ClusterMessage {
  readonly id: string;
  readonly topic: string;
  /** Message group; empty for none. */
  readonly key: string;
  readonly order: number;
  readonly body: string;
  /** Wall time of the clients before which it should not come; 0 for at once. */
  readonly deliverAtMs: number;
  recalled: 'no' | 'perhaps' | 'yes';
  /** Whether it must be there for ever. */
  isStored: boolean;
  answeredAtMs: number;
  /** Where it lies: one place for each broker set that has it. */
  readonly places: Map<string, string>;
  foundAtMs: number;
  readonly offsets: Set<number>;
}

export interface Delivery {
  readonly group: string;
  readonly id: string;
  readonly body: string;
  /** Name of the broker set, as handles write it. */
  readonly set: string;
  readonly queueId: number;
  readonly offset: number;
  readonly attempt: number;
  readonly askedAtMs: number;
  /** What `receiving` said. */
  readonly upheavals: number;
  readonly nowMs: number;
  readonly wallMs: number;
  readonly invisibleMs: number;
}

interface Seen {
  /** The last that is known; the next one has at least `least`. */
  attempt: number;
  least: number;
  changedAtMs: number;
  /** Among the dead letters. */
  isDead: boolean;
  leasedUntilMs: number;
  /** Changes of masters and receives without an answer at the last delivery. */
  upheavals: number;
  hidden: number;
  settled: 'no' | 'perhaps' | 'yes';
  /** Acknowledged while it was leased. */
  isSafe: boolean;
}

export interface CheckedGroup {
  readonly name: string;
  readonly fifo: boolean;
  readonly maxAttempts: number;
}

export interface CheckedStory {
  readonly groups: readonly CheckedGroup[];
  readonly sets: number;
  /** Whether clocks go evenly, so that leases can be measured. */
  readonly isSteady: boolean;
  /** Whether retention leaves every message, so that each one must arrive. */
  readonly keepsAll: boolean;
  /** Whether what was answered may be lost with a master or a power cut. */
  readonly isLossy: boolean;
}

/** Brokers have clocks of their own, and a message that fires by one is delivered by another. */
const CLOCKS_APART_MS = 10_000;
/** A set that was asked and came too late gives back what it would have handed out; that takes no longer. */
const GIVEN_BACK_WITHIN_MS = 2_000;

export class ClusterChecker {
  violation: Violation | undefined;
  readonly counts = {
    sends: 0,
    unknownSends: 0,
    deliveries: 0,
    redeliveries: 0,
    acknowledged: 0,
    duplicates: 0,
    deadLetters: 0,
    takenBack: 0,
    recalled: 0,
  };
  readonly sent = new Map<string, ClusterMessage>();
  private readonly places = new Map<string, { readonly id: string; readonly since: number }>();
  private readonly byKey = new Map<string, ClusterMessage[]>();
  private readonly seen = new Map<string, Seen>();
  private readonly groups: ReadonlyMap<string, CheckedGroup>;
  private readonly story: CheckedStory;
  /** How often a set had another master, or a broker died. */
  upheavals = 0;
  private hidden = 0;
  private openReceives = 0;
  /** When the last receives ended that were answered and have hidden nothing so far. */
  private answeredAtMs: number[] = [];
  private disturbedAtMs = Number.NEGATIVE_INFINITY;
  /** Called when an operator has accepted a loss. */
  onLoss: () => void = () => {};

  constructor(story: CheckedStory) {
    this.story = story;
    this.groups = new Map(story.groups.map((group) => [group.name, group]));
  }

  readonly demand = (holds: boolean, sentence: () => string): void => {
    if (holds) return;
    this.violation ??= new Violation(sentence());
    throw this.violation;
  };

  /** Some set has another master, or a broker has died: deliveries without order may have been forgotten. */
  upheaval(): void {
    this.upheavals++;
  }

  /** The number of upheavals so far: a master that was superseded may answer with what it handed out before. */
  receiving(): number {
    this.openReceives++;
    return this.upheavals;
  }

  /**
   * A receive that ended without an answer: what was delivered by it was seen by nobody. One that was answered by one
   * set may have been delivered something by another set, or before by the same, that was lost on the way.
   */
  received(isAnswered: boolean, askedAtMs: number, nowMs: number): void {
    this.openReceives--;
    if (!isAnswered || this.disturbedAtMs >= askedAtMs) this.hidden++;
    else this.answeredAtMs.push(nowMs);
  }

  /** A connection broke, or ways are cut, or a process stands still: what is on its way may be lost. */
  disturbed(nowMs: number): void {
    this.disturbedAtMs = nowMs;
    this.hidden += this.answeredAtMs.filter((endedAtMs) => endedAtMs >= nowMs - GIVEN_BACK_WITHIN_MS).length;
    this.answeredAtMs = [];
  }

  sending(message: ClusterMessage): void {
    if (this.sent.has(message.id)) return;
    this.sent.set(message.id, message);
    if (message.key === '') return;
    this.byKey.set(message.key, [...(this.byKey.get(message.key) ?? []), message]);
  }

  sendAnswered(message: ClusterMessage, offset: number, nowMs: number): void {
    if (!message.isStored) this.counts.sends++;
    message.isStored = true;
    message.answeredAtMs = nowMs;
    message.offsets.add(offset);
    if (this.story.isLossy) return;
    const most = message.key === '' ? this.story.sets : 1;
    this.demand(
      message.offsets.size <= most,
      () => `${message.id} was answered with the places ${[...message.offsets]}`,
    );
  }

  /** The master that answered was lost before its set had the message: nobody promises it any more. */
  takeBack(message: ClusterMessage): void {
    this.counts.takenBack++;
    message.isStored = false;
  }

  /** An operator has accepted that a set lost what happened since then. */
  lossAccepted(set: string, sinceMs: number): void {
    this.onLoss();
    for (const message of this.sent.values()) {
      if (message.isStored && message.answeredAtMs >= sinceMs) this.takeBack(message);
      const place = message.places.get(set);
      for (const group of this.groups.keys()) {
        const seen = this.seenOf(group, message.id, set);
        if (seen.changedAtMs < sinceMs) continue;
        Object.assign(seen, { least: 0, leasedUntilMs: 0, isDead: false, isSafe: false });
        if (seen.settled === 'yes') seen.settled = 'perhaps';
      }
      if (place !== undefined && message.foundAtMs >= sinceMs) message.places.delete(set);
    }
    for (const [key, { since }] of this.places)
      if (since >= sinceMs && key.startsWith(`${set} `)) this.places.delete(key);
  }

  /** A message has one place in a set for ever, and a place one message. */
  found(message: ClusterMessage, set: string, place: string, nowMs: number): void {
    const before = message.places.get(set);
    this.demand(before === undefined || before === place, () => `${message.id} is at ${before} and at ${place}`);
    if (before === undefined && message.places.size > 0) {
      this.counts.duplicates++;
      this.demand(message.key === '', () => `${message.id} of a message group lies in two sets`);
    }
    if (before === undefined) message.foundAtMs = nowMs;
    message.places.set(set, place);
    this.takePlace(`${set} ${message.topic} ${place}`, message.id, nowMs);
    const offset = Number(place.split('/')[1]);
    const isAnswered = this.story.isLossy || this.story.sets > 1 || message.offsets.size === 0;
    this.demand(
      isAnswered || message.offsets.has(offset),
      () => `${message.id} was answered with the places ${[...message.offsets]} and is at ${place}`,
    );
  }

  private takePlace(key: string, id: string, nowMs: number): void {
    const there = this.places.get(key) ?? { id, since: nowMs };
    this.demand(there.id === id, () => `${key} holds ${there.id} and ${id}`);
    this.places.set(key, there);
  }

  delivered({
    group,
    id,
    body,
    set,
    queueId,
    offset,
    attempt,
    askedAtMs,
    upheavals,
    nowMs,
    wallMs,
    invisibleMs,
  }: Delivery): void {
    const message = this.sent.get(id);
    this.demand(message !== undefined, () => `${id} was delivered and never sent`);
    this.demand(message!.body === body, () => `${id} was delivered with another body`);
    this.found(message!, set, `${queueId}/${offset}`, nowMs);
    const rules = this.groups.get(group)!;
    const seen = this.seenOf(group, id, set);
    const what = `${id} (attempt ${attempt}) to ${group} at ${nowMs.toFixed(1)}`;
    this.demand(seen.settled !== 'yes', () => `${what}: was acknowledged before`);
    this.demand(!seen.isDead, () => `${what}: lies among the dead letters`);
    this.demand(message!.recalled !== 'yes', () => `${what}: was recalled`);
    const isEarly = wallMs + CLOCKS_APART_MS < message!.deliverAtMs;
    this.demand(!this.story.isSteady || !isEarly, () => `${what}: ${message!.deliverAtMs - wallMs} ms too early`);
    const isOrdered = rules.fifo || message!.key !== '';
    const isCounted = isOrdered || seen.upheavals === this.upheavals;
    if (this.story.isSteady && isCounted)
      this.demand(nowMs >= seen.leasedUntilMs, () => `${what}: still leased until ${seen.leasedUntilMs}`);
    this.demand(!isOrdered || attempt >= seen.least, () => `${what}: the attempt before was ${seen.attempt}`);
    this.demand(
      attempt <= seen.attempt + 1 + this.hiddenSince(seen),
      () => `${what}: ${seen.attempt} is the last known`,
    );
    this.demand(attempt <= rules.maxAttempts, () => `${what}: more attempts than the group has`);
    if (message!.key !== '') this.checkOrder(group, message!, set, what);
    this.counts.deliveries++;
    if (seen.attempt > 0) this.counts.redeliveries++;
    seen.attempt = Math.max(seen.attempt, attempt);
    seen.least = seen.attempt + 1;
    seen.changedAtMs = nowMs;
    seen.leasedUntilMs = askedAtMs + invisibleMs - 5;
    seen.upheavals = upheavals;
    seen.hidden = this.hidden;
  }

  /** How many deliveries at most nobody has seen. */
  private hiddenSince(seen: Seen): number {
    return this.openReceives + this.hidden - seen.hidden + this.upheavals - seen.upheavals;
  }

  private mayBeDead(seen: Seen, { maxAttempts }: CheckedGroup): boolean {
    return seen.isDead || seen.attempt + this.hiddenSince(seen) >= maxAttempts;
  }

  private checkOrder(group: string, message: ClusterMessage, set: string, what: string): void {
    const { keepsAll } = this.story;
    for (const other of this.byKey.get(message.key)!) {
      const seen = this.seenOf(group, other.id, set);
      const isHere = other.places.has(set) || other.places.size === 0;
      this.demand(isHere, () => `${what}: ${other.id} of the same message group lies in another set`);
      if (keepsAll && other.order < message.order && other.isStored) {
        const isOver = seen.settled !== 'no' || this.mayBeDead(seen, this.groups.get(group)!);
        this.demand(isOver, () => `${what}: before ${other.id}, which came first`);
      }
      if (other.order > message.order)
        this.demand(seen.least === 0, () => `${what}: after ${other.id}, which comes later`);
    }
  }

  /** Stored, to be delivered later: it has no place yet. */
  delayAnswered(message: ClusterMessage, nowMs: number): void {
    if (!message.isStored) this.counts.sends++;
    message.isStored = true;
    message.answeredAtMs = nowMs;
  }

  /** Sent, and if no answer comes nobody knows whether it counts. */
  recalling(message: ClusterMessage): void {
    if (message.recalled === 'no') message.recalled = 'perhaps';
  }

  /** A message that one set did not answer for may wait in two, of which the handle names one; losses are excused. */
  recalled(message: ClusterMessage): void {
    this.counts.recalled++;
    if (this.story.sets === 1 && !this.story.isLossy) message.recalled = 'yes';
    this.demand(message.recalled !== 'yes' || message.places.size === 0, () => `${message.id} was recalled too late`);
  }

  acknowledging(group: string, id: string, set: string): void {
    const seen = this.seenOf(group, id, set);
    if (seen.settled === 'no') seen.settled = 'perhaps';
  }

  acknowledged(group: string, id: string, set: string, nowMs: number): void {
    this.counts.acknowledged++;
    const seen = this.seenOf(group, id, set);
    seen.settled = 'yes';
    seen.changedAtMs = nowMs;
    // After its last lease a message may be a dead letter, and acknowledging what is settled is answered OK.
    seen.isSafe = this.story.isSteady && nowMs < seen.leasedUntilMs;
  }

  /** A copy of the message lies in the group's dead-letter topic. */
  buried(group: string, id: string, set: string, place: string, nowMs: number): void {
    const rules = this.groups.get(group)!;
    const seen = this.seenOf(group, id, set);
    const what = `${id} lies among the dead letters of ${group}`;
    this.demand(this.sent.has(id), () => `${what} and was never sent`);
    this.demand(seen.settled !== 'yes' || !seen.isSafe, () => `${what} and was acknowledged`);
    this.demand(this.mayBeDead(seen, rules), () => `${what} after attempt ${seen.attempt} of ${rules.maxAttempts}`);
    this.takePlace(`${set} dead letters of ${group} ${place}`, id, nowMs);
    const key = `${set} dead letter ${group} ${id}`;
    this.takePlace(key, place, nowMs);
    if (!seen.isDead) this.counts.deadLetters++;
    seen.isDead = true;
    seen.changedAtMs = nowMs;
  }

  /** Asked to become visible at another time: from now on any time will do. */
  negativelyAcknowledged(group: string, id: string, set: string): void {
    this.seenOf(group, id, set).leasedUntilMs = 0;
  }

  /** What some group has still to get, in words: each stored message, and each that was taken and not acknowledged. */
  owed(): string | undefined {
    if (!this.story.keepsAll) return undefined;
    for (const message of this.sent.values()) {
      if (message.recalled !== 'no') continue;
      for (const group of this.groups.keys()) {
        const seen = [...message.places.keys()].map((set) => this.seenOf(group, message.id, set));
        if (message.isStored && !seen.some(({ attempt, isDead }) => attempt > 0 || isDead))
          return `${message.id} (${[...message.offsets]}) was stored and never reached ${group}`;
        if (seen.some(({ attempt, least, settled, isDead }) => attempt > 0 && least > 0 && settled === 'no' && !isDead))
          return `${message.id} was not acknowledged by ${group} and never came again`;
      }
    }
    return undefined;
  }

  /** After everything was drained. */
  finished(): void {
    const owed = this.owed();
    this.demand(owed === undefined, () => owed!);
  }

  private seenOf(group: string, id: string, set: string): Seen {
    const key = `${group} ${id} ${set}`;
    let seen = this.seen.get(key);
    if (seen === undefined) {
      seen = {
        ...{ attempt: 0, least: 0, changedAtMs: -1, isDead: false, leasedUntilMs: 0, isSafe: false },
        ...{ upheavals: 0, hidden: 0, settled: 'no' },
      };
      this.seen.set(key, seen);
    }
    return seen;
  }
}
