// Judges the histories of all producers and consumers of a simulated cluster: what was acknowledged has one place for
// ever, reaches every group, and never comes again after an acknowledgement that was answered OK. It keeps the first
// promise that was broken.
import { Violation } from './log-model.ts';

export interface ClusterMessage {
  readonly id: string;
  readonly topic: string;
  /** Message group; empty for none. */
  readonly key: string;
  readonly order: number;
  readonly body: string;
  isStored: boolean;
  /** Where it lies: one place for each broker set that has it. */
  readonly places: Map<string, string>;
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
  readonly nowMs: number;
  readonly invisibleMs: number;
}

interface Seen {
  attempt: number;
  leasedUntilMs: number;
  /** Changes of masters and receives without an answer at the last delivery. */
  upheavals: number;
  hidden: number;
  settled: 'no' | 'perhaps' | 'yes';
}

export interface CheckedGroup {
  readonly name: string;
  readonly fifo: boolean;
  readonly maxAttempts: number;
}

export class ClusterChecker {
  violation: Violation | undefined;
  readonly counts = {
    sends: 0,
    unknownSends: 0,
    deliveries: 0,
    redeliveries: 0,
    acknowledged: 0,
    duplicates: 0,
    movedGroups: 0,
  };
  readonly sent = new Map<string, ClusterMessage>();
  private readonly places = new Map<string, string>();
  private readonly byKey = new Map<string, ClusterMessage[]>();
  private readonly seen = new Map<string, Seen>();
  private readonly groups: ReadonlyMap<string, CheckedGroup>;
  private readonly sets: number;
  /** Whether clocks go evenly, so that leases can be measured. */
  private readonly isSteady: boolean;
  /** Whether retention leaves every message, so that each one must arrive. */
  private readonly keepsAll: boolean;
  private upheavals = 0;
  private hidden = 0;
  private openReceives = 0;

  constructor(groups: readonly CheckedGroup[], sets: number, isSteady: boolean, keepsAll: boolean) {
    this.keepsAll = keepsAll;
    this.groups = new Map(groups.map((group) => [group.name, group]));
    this.sets = sets;
    this.isSteady = isSteady;
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

  receiving(): void {
    this.openReceives++;
  }

  /** A receive that ended without an answer: what was delivered by it was seen by nobody. */
  received(isAnswered: boolean): void {
    this.openReceives--;
    if (!isAnswered) this.hidden++;
  }

  sending(message: ClusterMessage): void {
    if (this.sent.has(message.id)) return;
    this.sent.set(message.id, message);
    if (message.key === '') return;
    this.byKey.set(message.key, [...(this.byKey.get(message.key) ?? []), message]);
  }

  sendAnswered(message: ClusterMessage, offset: number): void {
    if (!message.isStored) this.counts.sends++;
    message.isStored = true;
    message.offsets.add(offset);
    const most = message.key === '' ? this.sets : 1;
    this.demand(
      message.offsets.size <= most,
      () => `${message.id} was answered with the places ${[...message.offsets]}`,
    );
  }

  /** A message has one place in a set for ever, and a place one message. */
  found(message: ClusterMessage, set: string, place: string): void {
    const before = message.places.get(set);
    this.demand(before === undefined || before === place, () => `${message.id} is at ${before} and at ${place}`);
    if (before === undefined && message.places.size > 0) {
      this.counts.duplicates++;
      this.demand(message.key === '', () => `${message.id} of a message group lies in two sets`);
    }
    message.places.set(set, place);
    const key = `${set} ${message.topic} ${place}`;
    const there = this.places.get(key) ?? message.id;
    this.demand(there === message.id, () => `${key} holds ${there} and ${message.id}`);
    this.places.set(key, message.id);
  }

  delivered({ group, id, body, set, queueId, offset, attempt, askedAtMs, nowMs, invisibleMs }: Delivery): void {
    const message = this.sent.get(id);
    this.demand(message !== undefined, () => `${id} was delivered and never sent`);
    this.demand(message!.body === body, () => `${id} was delivered with another body`);
    this.found(message!, set, `${queueId}/${offset}`);
    const rules = this.groups.get(group)!;
    const seen = this.seenOf(group, id, set);
    const what = `${id} (attempt ${attempt}) to ${group} at ${nowMs.toFixed(1)}`;
    this.demand(seen.settled !== 'yes', () => `${what}: was acknowledged before`);
    const isOrdered = rules.fifo || message!.key !== '';
    const isCounted = isOrdered || seen.upheavals === this.upheavals;
    if (this.isSteady && isCounted)
      this.demand(nowMs >= seen.leasedUntilMs, () => `${what}: still leased until ${seen.leasedUntilMs}`);
    const least = seen.attempt + (isOrdered ? 1 : 0);
    this.demand(!isOrdered || attempt >= least, () => `${what}: the attempt before was ${seen.attempt}`);
    const hidden = this.openReceives + this.hidden - seen.hidden + this.upheavals - seen.upheavals;
    this.demand(attempt <= seen.attempt + 1 + hidden, () => `${what}: ${seen.attempt} is the last known`);
    this.demand(attempt <= rules.maxAttempts, () => `${what}: more attempts than the group has`);
    if (message!.key !== '') this.checkOrder(group, message!, set, what);
    this.counts.deliveries++;
    if (seen.attempt > 0) this.counts.redeliveries++;
    seen.attempt = Math.max(seen.attempt, attempt);
    seen.leasedUntilMs = askedAtMs + invisibleMs - 5;
    seen.upheavals = this.upheavals;
    seen.hidden = this.hidden;
  }

  /**
   * Order within a set. A message group moves to another set while a NameServer that has just started does not name its
   * own; such moves are counted, because nobody keeps order across sets.
   */
  private checkOrder(group: string, message: ClusterMessage, set: string, what: string): void {
    const { maxAttempts } = this.groups.get(group)!;
    for (const other of this.byKey.get(message.key)!) {
      const seen = this.seenOf(group, other.id, set);
      const isHere = this.sets === 1 || other.places.has(set);
      if (!isHere && other.places.size > 0) this.counts.movedGroups++;
      if (this.keepsAll && other.order < message.order && other.isStored && isHere) {
        const isOver = seen.settled !== 'no' || seen.attempt >= maxAttempts;
        this.demand(isOver, () => `${what}: before ${other.id}, which came first`);
      }
      if (other.order > message.order)
        this.demand(seen.attempt === 0, () => `${what}: after ${other.id}, which comes later`);
    }
  }

  acknowledging(group: string, id: string, set: string): void {
    const seen = this.seenOf(group, id, set);
    if (seen.settled === 'no') seen.settled = 'perhaps';
  }

  acknowledged(group: string, id: string, set: string): void {
    this.counts.acknowledged++;
    this.seenOf(group, id, set).settled = 'yes';
  }

  /** Asked to become visible at another time: from now on any time will do. */
  negativelyAcknowledged(group: string, id: string, set: string): void {
    this.seenOf(group, id, set).leasedUntilMs = 0;
  }

  /** What some group has still to get, in words: each stored message, and each that was taken and not acknowledged. */
  owed(): string | undefined {
    if (!this.keepsAll) return undefined;
    for (const message of this.sent.values()) {
      for (const group of this.groups.keys()) {
        const seen = [...message.places.keys()].map((set) => this.seenOf(group, message.id, set));
        if (message.isStored && !seen.some(({ attempt }) => attempt > 0))
          return `${message.id} (${[...message.offsets]}) was stored and never reached ${group}`;
        if (seen.some(({ attempt, settled }) => attempt > 0 && settled === 'no'))
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
      seen = { attempt: 0, leasedUntilMs: 0, upheavals: 0, hidden: 0, settled: 'no' };
      this.seen.set(key, seen);
    }
    return seen;
  }
}
