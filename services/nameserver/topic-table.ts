// The routes by topic, put together from what each broker set has. A route is made when it is asked for; its shares are
// sorted by set, so that equal knowledge gives equal answers at every NameServer.
import type { BrokerTopic } from '@fulmar/core/name-service.ts';
import { newerPlacement, type Placement } from '@fulmar/core/placement.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { sameTopic } from './replicas.ts';

const NOTHING: ReadonlyMap<string, BrokerTopic> = new Map();

export class TopicTable {
  /** topic -> set -> what the set has of it. */
  readonly #topics = new Map<string, Map<string, BrokerTopic>>();
  #sortedNames: readonly string[] | undefined;

  get size(): number {
    return this.#topics.size;
  }

  route(topic: string): TopicRoute | undefined {
    const bySet = this.#topics.get(topic);
    if (bySet === undefined) return undefined;
    const sets = [...bySet.keys()].sort();
    const shares = sets.map((set) => ({ set, queues: bySet.get(set)!.queues }));
    let placement: Placement | undefined;
    for (const told of bySet.values()) placement = newerPlacement(placement, told.placement);
    return { topic, type: bySet.get(sets[0]!)!.type, shares, ...(placement && { placement }) };
  }

  /** All names in order. */
  names(): readonly string[] {
    this.#sortedNames ??= [...this.#topics.keys()].sort();
    return this.#sortedNames;
  }

  /** The set has this of the topic from now on; undefined for nothing. */
  put(set: string, name: string, topic: BrokerTopic | undefined): void {
    const bySet = this.#topics.get(name);
    if (topic !== undefined) {
      if (bySet !== undefined) {
        bySet.set(set, topic);
        return;
      }
      this.#topics.set(name, new Map([[set, topic]]));
      this.#sortedNames = undefined;
      return;
    }
    if (bySet === undefined || !bySet.delete(set) || bySet.size > 0) return;
    this.#topics.delete(name);
    this.#sortedNames = undefined;
  }

  /** The set has exactly `after` where it had `before`; returns the names that differ. */
  replace(set: string, before = NOTHING, after = NOTHING): string[] {
    const changed: string[] = [];
    for (const name of before.keys()) {
      if (after.has(name)) continue;
      this.put(set, name, undefined);
      changed.push(name);
    }
    for (const [name, topic] of after) {
      if (sameTopic(before.get(name), topic)) continue;
      this.put(set, name, topic);
      changed.push(name);
    }
    return changed;
  }
}
