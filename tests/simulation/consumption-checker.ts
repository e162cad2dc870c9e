// Judges the history of producers and consumers against what the broker promises, as it grows: nothing lost, nothing
// forged, nothing returned after an acknowledgement that was answered OK, nobody else's lease overlapped, order within
// a message group, the higher priority first, attempts without gap, dead letters exactly once. Times are simulated
// milliseconds.
import { LIMITS } from '@fulmar/core/limits.ts';
import { demand } from './log-model.ts';

export interface SentMessage {
  readonly id: string;
  readonly topic: string;
  /** Message group; empty for none. */
  readonly key: string;
  readonly body: string;
  /** 0 in topics without priorities. */
  readonly priority: number;
  /** Place in its message group, counted by the producer. */
  readonly order: number;
  /** Undefined while nobody knows where it is stored. */
  place: string | undefined;
  /** Wall time before which it may not be delivered; 0 for at once. */
  readonly deliverAtMs: number;
  /** Answered for a message that waits for its time: it is stored, and has no place yet. */
  handle: string | undefined;
  recalled: 'no' | 'perhaps' | 'yes';
}

/** What one consumer group has seen of one message. */
interface Seen {
  attempt: number;
  /** Nobody else may get it before. */
  leasedUntilMs: number;
  /**
   * The last delivery, or the end of the last lease, may not have reached the log: a crash came, or it was given back.
   */
  uncounted: boolean;
  settled: 'no' | 'perhaps' | 'yes';
  deadLetters: number;
  /** A consumer asked for the move to the dead-letter topic. */
  forwarded: boolean;
  /** How many crashes there had been at the last delivery: each may have hidden one more from its consumer. */
  crashes: number;
  /** From then on it can be had for certain, unless somebody gets it; infinite when that cannot be said. */
  availableFromMs: number;
}

export interface GroupRules {
  readonly name: string;
  readonly maxAttempts: number;
  readonly ordered: (topic: string) => boolean;
  /** Whether messages of this topic come in the order of their priorities. */
  readonly byPriority: (topic: string) => boolean;
}

/** One receive of a consumer. */
export interface Asked {
  readonly atMs: number;
  readonly invisibleMs: number;
}

/** A lease ends so long after its time at the latest, while the broker runs. */
const LEASE_MARGIN_MS = 100;

export class ConsumptionChecker {
  readonly counts = {
    sends: 0,
    deliveries: 0,
    redeliveries: 0,
    acknowledged: 0,
    deadLetters: 0,
    repeatedSends: 0,
    delayed: 0,
    recalled: 0,
    overtaken: 0,
  };
  private readonly sent = new Map<string, SentMessage>();
  private readonly places = new Map<string, string>();
  private readonly byKey = new Map<string, SentMessage[]>();
  private readonly seen = new Map<string, Seen>();
  private crashes = 0;
  /** Messages that this life of the broker has answered, and when. */
  private readonly storedInLife = new Map<string, number>();
  /** Those of them with a priority above the lowest. */
  private readonly urgent = new Set<SentMessage>();
  /** By group and topic, when this life of the broker was first asked for messages: nothing can have waited longer. */
  private readonly firstAskedMs = new Map<string, number>();
  /** The latest time that a broker has seen on its wall. */
  private latestWallMs = 0;
  private readonly groups: ReadonlyMap<string, GroupRules>;

  constructor(groups: readonly GroupRules[]) {
    this.groups = new Map(groups.map((group) => [group.name, group]));
  }

  sending(message: SentMessage): void {
    if (this.sent.has(message.id)) {
      this.counts.repeatedSends++;
      return;
    }
    this.sent.set(message.id, message);
    if (message.key === '') return;
    const key = `${message.topic} ${message.key}`;
    this.byKey.set(key, [...(this.byKey.get(key) ?? []), message]);
  }

  sendAnswered(id: string, place: string, nowMs: number): void {
    this.counts.sends++;
    const message = this.sent.get(id)!;
    this.found(message, place);
    if (this.storedInLife.has(id)) return;
    this.storedInLife.set(id, nowMs);
    if (message.priority > 0) this.urgent.add(message);
  }

  /** Stored, to be delivered later. */
  delayAnswered(id: string, handle: string): void {
    const message = this.sent.get(id)!;
    demand((message.handle ?? handle) === handle, () => `${id} has two recall handles`);
    if (message.handle === undefined) this.counts.delayed++;
    message.handle = handle;
  }

  wallShows(wallMs: number): void {
    this.latestWallMs = Math.max(this.latestWallMs, wallMs);
  }

  /** Sent, and if no answer comes nobody knows whether it counts. */
  recalling(id: string): void {
    const message = this.sent.get(id)!;
    if (message.recalled === 'no') message.recalled = 'perhaps';
  }

  recallAnswered(id: string, isRecalled: boolean, wasCertain: boolean): void {
    const message = this.sent.get(id)!;
    if (isRecalled) {
      this.counts.recalled++;
      message.recalled = 'yes';
      demand(message.place === undefined, () => `${id} was recalled after it had been delivered`);
    } else if (wasCertain && message.recalled === 'perhaps') message.recalled = 'no';
  }

  /** A message has one place for ever, and a place one message. */
  private found(message: SentMessage, place: string): void {
    demand(
      message.place === undefined || message.place === place,
      () => `${message.id} was at ${message.place}, now at ${place}`,
    );
    message.place = place;
    const there = this.places.get(`${message.topic} ${place}`) ?? message.id;
    demand(there === message.id, () => `${place} of ${message.topic} holds ${there} and ${message.id}`);
    this.places.set(`${message.topic} ${place}`, message.id);
  }

  asking(group: string, topic: string, nowMs: number): void {
    const key = `${group} ${topic}`;
    if (!this.firstAskedMs.has(key)) this.firstAskedMs.set(key, nowMs);
  }

  delivered(
    group: string,
    id: string,
    body: string,
    place: string,
    attempt: number,
    nowMs: number,
    asked: Asked,
  ): void {
    const rules = this.groups.get(group)!;
    const message = this.sent.get(id);
    demand(message !== undefined, () => `${id} was delivered and never sent`);
    demand(message!.body === body, () => `${id} was delivered with another body`);
    this.found(message!, place);
    const seen = this.seenOf(group, id);
    const what = `${id} (attempt ${attempt}) to ${group} at ${nowMs}`;
    demand(message!.recalled !== 'yes', () => `${what}: was recalled`);
    demand(this.latestWallMs >= message!.deliverAtMs, () => `${what}: too early, ${message!.deliverAtMs} is its time`);
    demand(seen.settled !== 'yes', () => `${what}: was acknowledged before`);
    demand(seen.deadLetters === 0, () => `${what}: lies in the dead-letter topic`);
    demand(nowMs >= seen.leasedUntilMs, () => `${what}: still leased until ${seen.leasedUntilMs}`);
    const least = seen.attempt + (seen.uncounted ? 0 : 1);
    const most = seen.attempt + 1 + this.crashes - seen.crashes;
    demand(attempt >= least && attempt <= most, () => `${what}: the attempt before was ${seen.attempt}`);
    demand(attempt <= rules.maxAttempts, () => `${what}: more attempts than the group has`);
    if (rules.ordered(message!.topic)) this.checkOrder(group, message!, what);
    if (rules.byPriority(message!.topic)) this.checkPriority(rules, message!, asked.atMs, nowMs, what);
    this.counts.deliveries++;
    if (seen.attempt > 0) this.counts.redeliveries++;
    seen.attempt = attempt;
    // The lease began between the question and the answer.
    seen.leasedUntilMs = asked.atMs + asked.invisibleMs - 1;
    seen.availableFromMs = nowMs + asked.invisibleMs + LEASE_MARGIN_MS;
    seen.uncounted = false;
    seen.crashes = this.crashes;
  }

  /** Whether the message may have gone to the dead-letter topic by now. */
  private mayBeDead(group: string, seen: Seen): boolean {
    return seen.forwarded || seen.attempt + this.crashes - seen.crashes >= this.groups.get(group)!.maxAttempts;
  }

  forwarding(group: string, id: string): void {
    this.seenOf(group, id).forwarded = true;
  }

  private checkOrder(group: string, message: SentMessage, what: string): void {
    if (message.key === '') return;
    for (const other of this.byKey.get(`${message.topic} ${message.key}`)!) {
      const seen = this.seenOf(group, other.id);
      if (other.order < message.order && other.place !== undefined) {
        demand(
          seen.settled !== 'no' || this.mayBeDead(group, seen),
          () => `${what}: before ${other.id}, which came first`,
        );
      }
      if (other.order > message.order)
        demand(seen.attempt === 0, () => `${what}: after ${other.id}, which comes later`);
    }
  }

  /** Nothing with a higher priority could be had when the receive was asked; or this had waited for long. */
  private checkPriority(
    { name }: GroupRules,
    message: SentMessage,
    askedAtMs: number,
    nowMs: number,
    what: string,
  ): void {
    let above: SentMessage | undefined;
    for (const other of this.urgent) {
      if (other.topic !== message.topic) continue;
      const seen = this.seenOf(name, other.id);
      if (seen.settled !== 'no' || this.mayBeDead(name, seen)) continue;
      if (seen.attempt > 0 && other.priority < message.priority) this.counts.overtaken++;
      const fromMs = seen.attempt === 0 ? this.storedInLife.get(other.id)! : seen.availableFromMs;
      if (other.priority > message.priority && fromMs < askedAtMs) above = other;
    }
    if (above === undefined) return;
    demand(
      nowMs - this.firstAskedMs.get(`${name} ${message.topic}`)! >= LIMITS.priorityPatienceMs,
      () => `${what}: priority ${message.priority} before ${above.id}, which has ${above.priority}`,
    );
  }

  /** Sent, and if no answer comes nobody knows whether it counts. */
  acknowledging(group: string, id: string): void {
    const seen = this.seenOf(group, id);
    if (seen.settled === 'no') seen.settled = 'perhaps';
  }

  /** Answered OK: from now on nobody of the group may get it again. */
  acknowledged(group: string, id: string): void {
    const seen = this.seenOf(group, id);
    if (seen.settled !== 'yes') this.counts.acknowledged++;
    seen.settled = 'yes';
  }

  /** Asked to become visible earlier or later: from now on any time will do. */
  negativelyAcknowledged(group: string, id: string): void {
    const seen = this.seenOf(group, id);
    seen.leasedUntilMs = 0;
    seen.availableFromMs = Number.POSITIVE_INFINITY;
  }

  givenBack(group: string, id: string): void {
    const seen = this.seenOf(group, id);
    seen.leasedUntilMs = 0;
    seen.availableFromMs = Number.POSITIVE_INFINITY;
    seen.uncounted = true;
  }

  /** The broker went down: a delivery in an unordered group may have been forgotten. Log time stood still meanwhile. */
  crashed(): void {
    this.crashes++;
    // Each of them may have been handed out at the end, to somebody who never saw it.
    this.storedInLife.clear();
    this.urgent.clear();
    this.firstAskedMs.clear();
    for (const [key, seen] of this.seen) {
      const [group, id] = key.split(' ') as [string, string];
      if (this.groups.get(group)!.ordered(this.sent.get(id)!.topic)) continue;
      seen.uncounted = true;
      seen.leasedUntilMs = 0;
    }
  }

  /** Whatever was handed out before has run out: all that is stored can be had, unless it has come to its end. */
  allDue(nowMs: number): void {
    for (const message of this.sent.values()) {
      if (message.place === undefined) continue;
      this.storedInLife.set(message.id, nowMs);
      if (message.priority > 0) this.urgent.add(message);
    }
    for (const seen of this.seen.values()) seen.availableFromMs = nowMs;
  }

  deadLettered(group: string, id: string): void {
    const seen = this.seenOf(group, id);
    // An acknowledgement that comes after the move is answered OK as well: the client is done with the message.
    const allowed = seen.settled !== 'yes' || this.mayBeDead(group, seen);
    demand(allowed, () => `${id} was acknowledged by ${group} and lies in its dead-letter topic`);
    seen.deadLetters++;
    this.counts.deadLetters++;
    demand(seen.deadLetters === 1, () => `${id} lies in the dead-letter topic of ${group} more than once`);
  }

  /** After everything was drained: each stored message has come to its end in each group. */
  finished(): void {
    for (const message of this.sent.values()) {
      const isStored = message.place !== undefined || message.handle !== undefined;
      if (!isStored || message.recalled !== 'no') continue;
      for (const group of this.groups.keys()) {
        const { settled, deadLetters, attempt } = this.seenOf(group, message.id);
        const ended = settled !== 'no' || deadLetters === 1;
        demand(ended, () => `${message.id} never came to its end in ${group} (attempt ${attempt})`);
      }
    }
  }

  private seenOf(group: string, id: string): Seen {
    const key = `${group} ${id}`;
    let seen = this.seen.get(key);
    if (seen === undefined) {
      seen = {
        attempt: 0,
        leasedUntilMs: 0,
        uncounted: false,
        settled: 'no',
        deadLetters: 0,
        forwarded: false,
        crashes: 0,
        availableFromMs: Number.POSITIVE_INFINITY,
      };
      this.seen.set(key, seen);
    }
    return seen;
  }
}
