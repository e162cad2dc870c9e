// Receives of lite consumers. Each one reads lite topics of its own choice, so a receive is answered with one message
// of every lite topic among them that has one: each is taken by an ordinary receive on that topic, which keeps its
// order. For each consumer it is known which of its lite topics may have something; nobody searches through all of
// them.
import type { AckCommand, PopCall, PopCommand, PoppedMessage, PopResult } from '@fulmar/core/broker-api.ts';
import { failure, faultOf, success } from '@fulmar/core/errors.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Timer, Timers } from '@fulmar/core/ports.ts';
import type { Committer } from '../committer.ts';
import type { Group } from '../state/groups.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { Topic } from '../state/topics.ts';
import type { Dispatcher } from './dispatcher.ts';
import { bindingFault } from './lite-binding.ts';
import type { Receiving } from './receiving.ts';

export interface LiteReceivingParts {
  readonly state: BrokerState;
  readonly committer: Pick<Committer, 'mayHandOut'>;
  readonly receiving: Pick<Receiving, 'subscriptionOf' | 'dispatcherOf'>;
  readonly release: (command: AckCommand) => Promise<void>;
  readonly timers: Timers;
  readonly bounds: Pick<MemoryBounds, 'waitersPerSubscription'>;
}

interface Waiter {
  readonly command: PopCommand;
  readonly resolve: (result: PopResult) => void;
  timer: Timer | undefined;
  /** Messages are being taken for it. */
  working: boolean;
  /** Its time ran out while messages were being taken. */
  late: boolean;
  /** Cancelled or answered. */
  over: boolean;
}

/** The receives of one group, and what there may be for them. */
interface Desk {
  readonly group: Group;
  /** By consumer the names of lite topics that it reads and that may have a message, those that wait longest first. */
  readonly ready: Map<string, Set<string>>;
  readonly waiting: Map<string, Waiter[]>;
  waiters: number;
}

const ATTEMPTS_MAX = 1_024;
/** When something was there and could not be handed out, it is tried again after this. */
const LATER_MS = 500;

export class LiteReceiving {
  private readonly parts: LiteReceivingParts;
  /** By the name of the LITE topic. */
  private readonly desks = new Map<string, Map<Group, Desk>>();
  /** Who took messages for the latest logical receives. */
  private readonly attempts = new Map<string, readonly Dispatcher[]>();
  private closedWith: PopResult | undefined;
  private turn = 0;

  constructor(parts: LiteReceivingParts) {
    this.parts = parts;
  }

  /** What consumers read was recovered with the state; whatever there is may be for them. */
  start(): void {
    for (const group of this.parts.state.groups.byId.values()) {
      const { consumers } = group.lite ?? {};
      for (const clientId of consumers?.clients() ?? []) this.added(group, clientId, consumers!.namesOf(clientId));
    }
  }

  /** Whether the group or the topic of a receive has to do with lite topics. */
  serves({ group, topic }: PopCommand): boolean {
    const { groups, topics } = this.parts.state;
    return groups.byName.get(group)?.lite !== undefined || topics.byName.get(topic)?.type === 'lite';
  }

  pop(command: PopCommand): PopCall {
    const { groups, topics } = this.parts.state;
    const group = groups.byName.get(command.group);
    const topic = topics.byName.get(command.topic);
    const refused = bindingFault(group, topic);
    if (refused !== undefined) return answered({ fault: refused });
    if (this.closedWith !== undefined) return answered(this.closedWith);
    const desk = this.deskOf(group!);
    if (desk.waiters >= this.parts.bounds.waitersPerSubscription) {
      return answered(
        failure('TOO_MANY_REQUESTS', 'Too many receives of this group wait on this topic. Use fewer consumers.'),
      );
    }
    this.releaseAttempt(command.attemptId);
    const { promise: result, resolve } = Promise.withResolvers<PopResult>();
    const waiter: Waiter = { command, resolve, timer: undefined, working: false, late: false, over: false };
    this.enter(desk, waiter, 'last');
    waiter.timer = this.parts.timers.after(command.waitMs, () => {
      if (waiter.working) waiter.late = true;
      else this.finish(desk, waiter, success([]));
    });
    this.serve(desk, command.clientId);
    return { result, cancel: () => this.finish(desk, waiter, success([])) };
  }

  /** The lite topic may have a message for this group. */
  available({ group, topic }: Subscription): void {
    const desk = this.desks.get(topic.name)?.get(group);
    if (desk !== undefined) this.offer(desk, topic);
  }

  /** The lite topic has new messages. */
  placed(topic: Topic): void {
    for (const desk of this.desks.get(topic.name)?.values() ?? []) this.offer(desk, topic);
  }

  /** From now on the consumer reads these, too. */
  added(group: Group, clientId: string, names: Iterable<string>): void {
    const desk = this.deskOf(group);
    for (const name of names) mark(desk, clientId, name);
    this.serve(desk, clientId);
  }

  /** The consumer reads nothing any more. */
  left(group: Group, clientId: string): void {
    this.desks.get(group.lite!.topic)?.get(group)?.ready.delete(clientId);
  }

  dropDeleted(): void {
    for (const desks of this.desks.values()) {
      for (const [group, desk] of desks) {
        if (this.parts.state.groups.byId.get(group.id) === group) continue;
        desks.delete(group);
        this.endWaits(desk, failure('CONSUMER_GROUP_NOT_FOUND', 'The consumer group was deleted.'));
      }
    }
  }

  /** Ends every wait. What is being taken is still answered if it becomes committed. */
  close(): void {
    this.closedWith = success([]);
    for (const desks of this.desks.values()) for (const desk of desks.values()) this.endWaits(desk, this.closedWith);
  }

  private endWaits(desk: Desk, reason: PopResult): void {
    for (const waiter of [...desk.waiting.values()].flat()) this.finish(desk, waiter, reason);
  }

  private deskOf(group: Group): Desk {
    const { topic } = group.lite!;
    const desks = this.desks.get(topic) ?? new Map<Group, Desk>();
    this.desks.set(topic, desks);
    let desk = desks.get(group);
    if (desk === undefined) {
      desk = { group, ready: new Map(), waiting: new Map(), waiters: 0 };
      desks.set(group, desk);
    }
    return desk;
  }

  /** Every consumer that reads it gets its chance, each time another one first. */
  private offer(desk: Desk, topic: Topic): void {
    const { name } = topic.lite!;
    const clients = [...desk.group.lite!.consumers.clientsOf(name)];
    for (const clientId of clients) mark(desk, clientId, name);
    this.turn++;
    for (let i = 0; i < clients.length; i++) this.serve(desk, clients[(this.turn + i) % clients.length]!);
  }

  private serve(desk: Desk, clientId: string): void {
    const waiting = desk.waiting.get(clientId);
    const ready = desk.ready.get(clientId);
    while (waiting !== undefined && waiting.length > 0 && ready !== undefined && ready.size > 0) {
      if (!this.parts.committer.mayHandOut()) {
        this.serveLater(desk, clientId);
        return;
      }
      const waiter = waiting[0]!;
      const topics = this.choose(desk, clientId, ready, waiter.command.maxMessages);
      if (topics.length === 0) return;
      this.leave(desk, waiter);
      waiter.working = true;
      this.fill(desk, waiter, topics).catch((error) => this.finish(desk, waiter, { fault: faultOf(error) }));
    }
  }

  private serveLater(desk: Desk, clientId: string): void {
    this.parts.timers.after(LATER_MS, () => this.serve(desk, clientId));
  }

  /** Lite topics that the consumer reads and that seem to have a message; they leave the list. */
  private choose({ group }: Desk, clientId: string, ready: Set<string>, most: number): Topic[] {
    const { state, receiving } = this.parts;
    const { topic: parentName, consumers } = group.lite!;
    const parent = state.topics.byName.get(parentName);
    const names = consumers.namesOf(clientId);
    const chosen: Topic[] = [];
    for (const name of ready) {
      if (chosen.length >= most) break;
      ready.delete(name);
      const topic = parent && state.topics.lite.find(parent.id, name);
      if (topic === undefined || !names.has(name)) continue;
      const subscription = group.subscriptions.get(topic.id);
      const hasSomething =
        subscription === undefined ? topic.nextOffsets[0]! > 0 : receiving.dispatcherOf(subscription).hasSomething();
      if (hasSomething) chosen.push(topic);
    }
    return chosen;
  }

  /** Takes one message of each topic, as far as they fit into one answer. */
  private async fill(desk: Desk, waiter: Waiter, topics: readonly Topic[]): Promise<void> {
    const { command } = waiter;
    const taking: { readonly dispatcher: Dispatcher; readonly name: string; readonly result: Promise<PopResult> }[] =
      [];
    let bytes = 0;
    for (const topic of topics) {
      const { name } = topic.lite!;
      const { value: subscription } = await this.parts.receiving.subscriptionOf(desk.group, topic);
      if (subscription === undefined) continue;
      const dispatcher = this.parts.receiving.dispatcherOf(subscription);
      bytes += await dispatcher.headBytes();
      if (waiter.over || (taking.length > 0 && bytes > command.maxBytes)) {
        mark(desk, command.clientId, name);
        continue;
      }
      const result = new Promise<PopResult>((resolve) => {
        dispatcher.popNow({ ...command, maxMessages: 1, filter: {} }, resolve);
      });
      taking.push({ dispatcher, name, result });
    }
    const results = await Promise.all(taking.map(({ result }) => result));
    waiter.working = false;
    const messages = results.flatMap(({ value }) => value ?? []);
    const fault = results.find((result) => result.fault !== undefined)?.fault;
    if (messages.length > 0) {
      this.noteAttempt(
        command.attemptId,
        taking.map(({ dispatcher }) => dispatcher),
      );
      this.answer(desk, waiter, messages);
    } else if (fault !== undefined && fault.error !== 'TOPIC_NOT_FOUND') this.finish(desk, waiter, { fault });
    else if (waiter.late) this.finish(desk, waiter, success([]));
    else if (!waiter.over) this.enter(desk, waiter, 'first');
    this.lookAgain(desk, command.clientId, taking);
  }

  /** What was not there after all, or not to be had, may be so in a moment. */
  private lookAgain(
    desk: Desk,
    clientId: string,
    taken: readonly { readonly dispatcher: Dispatcher; readonly name: string }[],
  ): void {
    const left = taken.filter(({ dispatcher }) => dispatcher.hasSomething());
    for (const { name } of left) mark(desk, clientId, name);
    if (left.length > 0) this.serveLater(desk, clientId);
    else this.serve(desk, clientId);
  }

  private answer(desk: Desk, waiter: Waiter, messages: readonly PoppedMessage[]): void {
    const { group, topic } = waiter.command;
    if (!waiter.over) this.finish(desk, waiter, success(messages));
    else void this.parts.release({ group, topic, receiptHandles: messages.map((each) => each.receiptHandle) });
  }

  private noteAttempt(attemptId: string, dispatchers: readonly Dispatcher[]): void {
    if (attemptId === '') return;
    this.attempts.set(attemptId, dispatchers);
    if (this.attempts.size > ATTEMPTS_MAX) this.attempts.delete(this.attempts.keys().next().value!);
  }

  /** A client that never saw the answer asks for the same again. */
  private releaseAttempt(attemptId: string): void {
    for (const dispatcher of this.attempts.get(attemptId) ?? []) dispatcher.releaseAttempt(attemptId);
    this.attempts.delete(attemptId);
  }

  private enter(desk: Desk, waiter: Waiter, place: 'first' | 'last'): void {
    const { clientId } = waiter.command;
    const waiting = desk.waiting.get(clientId);
    if (waiting === undefined) desk.waiting.set(clientId, [waiter]);
    else if (place === 'first') waiting.unshift(waiter);
    else waiting.push(waiter);
    desk.waiters++;
  }

  private leave(desk: Desk, waiter: Waiter): void {
    const waiting = desk.waiting.get(waiter.command.clientId);
    const at = waiting?.indexOf(waiter) ?? -1;
    if (at < 0) return;
    waiting!.splice(at, 1);
    desk.waiters--;
    if (waiting!.length === 0) desk.waiting.delete(waiter.command.clientId);
  }

  private finish(desk: Desk, waiter: Waiter, result: PopResult): void {
    if (waiter.over) return;
    waiter.over = true;
    waiter.timer?.cancel();
    this.leave(desk, waiter);
    waiter.resolve(result);
  }
}

function answered(result: PopResult): PopCall {
  return { result: Promise.resolve(result), cancel: () => {} };
}

function mark({ ready }: Desk, clientId: string, name: string): void {
  const names = ready.get(clientId);
  if (names === undefined) ready.set(clientId, new Set([name]));
  else names.add(name);
}
