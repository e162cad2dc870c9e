// Judges what the consumers of an exclusive and of a broadcasting group saw: of one queue no two consumers held
// messages at once, a queue stays with its owner while nobody comes or leaves, what an owner left behind comes first to
// the next one; and each member of the broadcasting group got each message that was sent after it had come, and none
// again that it had acknowledged.
import { demand } from './log-model.ts';

/** After everybody has been still for so long, every queue belongs to somebody for good. */
const STABLE_AFTER_MS = 12_000;

interface Delivery {
  readonly consumer: string;
  readonly id: string;
  readonly queue: number;
  readonly offset: number;
  /** It is settled, given back, or was told that it is void. */
  isOver: boolean;
  readonly untilMs: number;
  /** Somebody else has been handed a message of the queue since. */
  fenced: boolean;
  /** The broker went down since: whether the delivery is known there is not certain. */
  doubtful: boolean;
}

export interface Received {
  readonly id: string;
  readonly queue: number;
  readonly offset: number;
  readonly attempt: number;
}

type Settled = 'no' | 'perhaps' | 'yes';

/** Messages of the exclusive group. */
export class ExclusiveChecker {
  readonly counts = { exclusiveDeliveries: 0, movesSeen: 0, fencedAcknowledgements: 0 };
  private readonly queues: number;
  /** What is or was in somebody's hands of each queue. */
  private readonly deliveries = new Map<number, Delivery[]>();
  private readonly settled = new Map<string, Settled>();
  private readonly lastConsumer = new Map<number, { readonly consumer: string; readonly atMs: number }>();
  private changedAtMs = 0;
  private live = 0;

  constructor(queues: number) {
    this.queues = queues;
  }

  /** A consumer came, left, or the broker was restarted. */
  membersChanged(nowMs: number, live: number): void {
    this.changedAtMs = nowMs;
    this.live = live;
  }

  crashed(): void {
    for (const ofQueue of this.deliveries.values()) for (const delivery of ofQueue) delivery.doubtful = true;
  }

  received(consumer: string, messages: readonly Received[], nowMs: number, untilMs: number): readonly Delivery[] {
    for (const queue of new Set(messages.map((message) => message.queue))) this.tookFrom(queue, consumer, nowMs);
    const made: Delivery[] = [];
    for (const { id, queue, offset, attempt } of messages) {
      this.counts.exclusiveDeliveries++;
      demand(this.settled.get(id) !== 'yes', () => `${id} was acknowledged and came again, to ${consumer}`);
      const ofQueue = this.deliveries.get(queue) ?? [];
      for (const before of ofQueue) if (before.id === id) before.isOver = true;
      const delivery = { consumer, id, queue, offset, isOver: false, untilMs, fenced: false, doubtful: false };
      ofQueue.push(delivery);
      this.deliveries.set(queue, ofQueue);
      made.push(delivery);
      if (attempt === 1) this.checkOlderFirst(delivery, messages);
    }
    return made;
  }

  private tookFrom(queue: number, consumer: string, nowMs: number): void {
    const last = this.lastConsumer.get(queue);
    const isStable = last !== undefined && last.atMs > this.changedAtMs + STABLE_AFTER_MS;
    demand(!isStable || last.consumer === consumer, () => `queue ${queue} went from ${last?.consumer} to ${consumer}`);
    if (last !== undefined && last.consumer !== consumer) this.counts.movesSeen++;
    this.lastConsumer.set(queue, { consumer, atMs: nowMs });
    for (const delivery of this.deliveries.get(queue) ?? []) {
      if (delivery.consumer !== consumer && !delivery.isOver && delivery.untilMs > nowMs) delivery.fenced = true;
    }
    if (nowMs <= this.changedAtMs + STABLE_AFTER_MS || this.live === 0) return;
    const most = Math.ceil(this.queues / this.live);
    const own = [...this.lastConsumer.values()].filter(
      (each) => each.consumer === consumer && each.atMs > this.changedAtMs + STABLE_AFTER_MS,
    );
    demand(own.length <= most, () => `${consumer} has ${own.length} queues, and ${this.live} consumers are there`);
  }

  /** What was taken away from another consumer comes before anything that nobody has seen. */
  private checkOlderFirst({ queue, consumer, id, offset }: Delivery, answer: readonly Received[]): void {
    for (const before of this.deliveries.get(queue)!) {
      if (before.isOver || !before.fenced || before.doubtful || before.offset >= offset) continue;
      const isKnown = (this.settled.get(before.id) ?? 'no') !== 'no' || answer.some((each) => each.id === before.id);
      demand(isKnown, () => `${id} came to ${consumer} before ${before.id}, which ${before.consumer} had left behind`);
    }
  }

  acknowledging({ id }: Delivery): void {
    if (this.settled.get(id) !== 'yes') this.settled.set(id, 'perhaps');
  }

  /** `wasFenced`: when it was sent. `wasSettled`: what was known then about an acknowledgement of somebody else. */
  acknowledged(delivery: Delivery, isOk: boolean, wasFenced: boolean, wasSettled: Settled): void {
    const { id, queue, consumer, doubtful } = delivery;
    if (isOk) {
      const isClean = !wasFenced || wasSettled !== 'no' || doubtful;
      demand(isClean, () => `${consumer} still held ${id} when somebody else was handed messages of queue ${queue}`);
      this.settled.set(id, 'yes');
    } else if (wasFenced) this.counts.fencedAcknowledgements++;
    delivery.isOver = true;
  }

  settledOf({ id }: Delivery): Settled {
    return this.settled.get(id) ?? 'no';
  }

  finished(sent: Iterable<string>): void {
    for (const id of sent) {
      demand((this.settled.get(id) ?? 'no') !== 'no', () => `${id} never came to its end in the exclusive group`);
    }
  }
}

interface Member {
  /** Messages that it has to get, unless it had them: those sent after it had come. */
  readonly owed: Set<string>;
  readonly settled: Map<string, Settled>;
}

/** Messages of the broadcasting group, for each client id. */
export class BroadcastChecker {
  readonly counts = { broadcastDeliveries: 0, membersMade: 0 };
  private readonly members = new Map<string, Member>();
  /** Answered OK before a member came: it must not get them. */
  private readonly old = new Map<string, ReadonlySet<string>>();
  private readonly stored = new Set<string>();

  /** The client is about to come for the first time. */
  coming(clientId: string): void {
    if (!this.old.has(clientId)) this.old.set(clientId, new Set(this.stored));
  }

  /** It has come: the broker has answered. */
  came(clientId: string): void {
    if (this.members.has(clientId)) return;
    this.counts.membersMade++;
    this.members.set(clientId, { owed: new Set(), settled: new Map() });
  }

  /** Returns those who are owed the message if it turns out to be stored. */
  sending(): readonly string[] {
    return [...this.members.keys()];
  }

  sendAnswered(id: string, owedTo: readonly string[]): void {
    this.stored.add(id);
    for (const clientId of owedTo) this.members.get(clientId)!.owed.add(id);
  }

  received(clientId: string, id: string): void {
    this.counts.broadcastDeliveries++;
    const member = this.members.get(clientId);
    demand(!this.old.get(clientId)!.has(id), () => `${clientId} got ${id}, which was there before it`);
    demand(member?.settled.get(id) !== 'yes', () => `${clientId} got ${id} again, which it had acknowledged`);
  }

  acknowledging(clientId: string, id: string): void {
    const { settled } = this.members.get(clientId)!;
    if (settled.get(id) !== 'yes') settled.set(id, 'perhaps');
  }

  acknowledged(clientId: string, id: string): void {
    this.members.get(clientId)!.settled.set(id, 'yes');
  }

  finished(): void {
    for (const [clientId, { owed, settled }] of this.members) {
      for (const id of owed) demand(settled.has(id), () => `${clientId} never got ${id}`);
    }
  }
}
