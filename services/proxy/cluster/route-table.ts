// The routes as one proxy shows them: what a NameServer told, kept when the NameServer is lost, and on top of it for a
// short while what a broker has answered to this proxy and the NameServer may not have heard yet. Pure; reads are one
// look into a map.
import type { BrokerTopic, WatchEvent } from '@fulmar/core/name-service.ts';
import { newerPlacement, samePlacement } from '@fulmar/core/placement.ts';
import type { BrokerEntry, TopicRoute, TopicShare } from '@fulmar/core/route.ts';

interface LocalShare {
  /** Undefined: deleted. */
  readonly topic: BrokerTopic | undefined;
  readonly untilMs: number;
}

export class RouteTable {
  readonly #localMs: number;
  readonly #shown = new Map<string, TopicRoute>();
  readonly #told = new Map<string, TopicRoute>();
  readonly #brokers = new Map<string, BrokerEntry>();
  /** topic -> set -> what that set's master answered itself. */
  readonly #local = new Map<string, Map<string, LocalShare>>();
  /** What an earlier stream told, until a NameServer that knows all brokers has told everything anew. */
  #before = new Map<string, TopicRoute>();
  /** Known from an earlier stream and not yet told on this one. */
  #oldTopics = new Set<string>();
  #oldBrokers = new Set<string>();

  constructor(localMs: number) {
    this.#localMs = localMs;
  }

  route(topic: string): TopicRoute | undefined {
    return this.#shown.get(topic);
  }

  topics(): TopicRoute[] {
    return [...this.#shown.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1));
  }

  /** Sorted by set and replica. */
  entries(): BrokerEntry[] {
    return [...this.#brokers.keys()].sort().map((key) => this.#brokers.get(key)!);
  }

  /** A NameServer begins to tell everything; what is known stays until it has. */
  onBegin(): void {
    // Of several beginnings without an end the first one knew most.
    for (const [name, route] of this.#told) if (!this.#before.has(name)) this.#before.set(name, route);
    this.#oldTopics = new Set(this.#told.keys());
    this.#oldBrokers = new Set(this.#brokers.keys());
  }

  /** Returns whether anything may be different now. */
  onEvent(event: WatchEvent): boolean {
    for (const route of event.putTopics) {
      this.#oldTopics.delete(route.topic);
      this.#told.set(route.topic, route);
      this.#confirm(route.topic);
    }
    for (const name of event.deletedTopics) {
      this.#before.delete(name);
      this.#forget(name);
    }
    if (event.brokers !== undefined) this.#takeBrokers(event.brokers);
    // A NameServer that has just started may lack what it has not heard of yet: only a settled one can say "gone".
    const told = event.putTopics.length + event.deletedTopics.length > 0 || event.brokers !== undefined;
    if (event.more || !event.settled || this.#before.size + this.#oldBrokers.size === 0) return told;
    const before = this.#before;
    this.#before = new Map();
    for (const name of before.keys()) this.#show(name);
    for (const name of this.#oldTopics) this.#forget(name);
    this.#oldTopics.clear();
    for (const key of this.#oldBrokers) this.#brokers.delete(key);
    this.#oldBrokers.clear();
    return true;
  }

  /** The master of `set` has answered that it has this of the topic; undefined for nothing. */
  onAnswer(set: string, name: string, topic: BrokerTopic | undefined, nowMs: number): void {
    const shares = this.#local.get(name) ?? new Map<string, LocalShare>();
    // News of an answer that has not been confirmed are still to come, and would show again what is gone.
    if (!shares.has(set) && agrees(this.#told.get(name), set, topic)) return;
    shares.set(set, { topic, untilMs: nowMs + this.#localMs });
    this.#local.set(name, shares);
    this.#show(name);
  }

  nextDeadline(): number | undefined {
    let next: number | undefined;
    for (const shares of this.#local.values()) {
      for (const { untilMs } of shares.values()) if (next === undefined || untilMs < next) next = untilMs;
    }
    return next;
  }

  /** What the NameServer has not confirmed in time does not count any longer. */
  onDeadline(nowMs: number): void {
    for (const [name, shares] of this.#local) {
      for (const [set, { untilMs }] of shares) if (untilMs <= nowMs) shares.delete(set);
      if (shares.size === 0) this.#local.delete(name);
      this.#show(name);
    }
  }

  #forget(name: string): void {
    this.#told.delete(name);
    this.#confirm(name);
  }

  /** The NameServer has told something of this topic: answers that say the same have done their work. */
  #confirm(name: string): void {
    const told = this.#told.get(name);
    const local = this.#local.get(name);
    for (const [set, share] of local ?? []) if (agrees(told, set, share.topic)) local!.delete(set);
    if (local?.size === 0) this.#local.delete(name);
    this.#show(name);
  }

  #takeBrokers(entries: readonly BrokerEntry[]): void {
    for (const key of this.#brokers.keys()) if (!this.#oldBrokers.has(key)) this.#brokers.delete(key);
    for (const entry of entries) {
      const key = `${entry.set}/${entry.replica}`;
      this.#oldBrokers.delete(key);
      this.#brokers.set(key, entry);
    }
  }

  #show(name: string): void {
    const told = withSharesOf(this.#told.get(name), this.#before.get(name));
    const local = this.#local.get(name);
    const route = local === undefined ? told : merge(name, told, local);
    if (route === undefined) this.#shown.delete(name);
    else this.#shown.set(name, route);
  }
}

function agrees(told: TopicRoute | undefined, set: string, topic: BrokerTopic | undefined): boolean {
  const share = told?.shares.find((candidate) => candidate.set === set);
  if (topic === undefined || share === undefined) return topic === undefined && share === undefined;
  const placement = newerPlacement(told?.placement, topic.placement);
  return share.queues === topic.queues && told?.type === topic.type && samePlacement(told.placement, placement);
}

/**
 * A NameServer that has just started tells of a set when that has come back to it. If the share vanished meanwhile, its
 * message groups would move to other sets and lose their order.
 */
function withSharesOf(told: TopicRoute | undefined, before: TopicRoute | undefined): TopicRoute | undefined {
  if (told === undefined || before === undefined || told.type !== before.type) return told;
  const missing = before.shares.filter(({ set }) => !told.shares.some((share) => share.set === set));
  const placement = newerPlacement(told.placement, before.placement);
  if (missing.length === 0 && samePlacement(placement, told.placement)) return told;
  const shares = [...told.shares, ...missing].sort((a, b) => (a.set < b.set ? -1 : 1));
  return { ...told, shares, ...(placement && { placement }) };
}

function merge(
  topic: string,
  told: TopicRoute | undefined,
  local: ReadonlyMap<string, LocalShare>,
): TopicRoute | undefined {
  const shares: TopicShare[] = (told?.shares ?? []).filter((share) => !local.has(share.set));
  let type = told?.type;
  let placement = told?.placement;
  for (const [set, answer] of local) {
    if (answer.topic === undefined) continue;
    shares.push({ set, queues: answer.topic.queues });
    type = answer.topic.type;
    placement = newerPlacement(placement, answer.topic.placement);
  }
  if (shares.length === 0 || type === undefined) return undefined;
  shares.sort((a, b) => (a.set < b.set ? -1 : 1));
  return { topic, type, shares, ...(placement && { placement }) };
}
