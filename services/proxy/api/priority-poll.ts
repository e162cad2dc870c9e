// In which order a receive asks the broker sets of a priority topic: each is asked what its highest priority is, and
// the one with the highest is asked first, for what no other set outbids. What comes or goes between the two questions
// is not seen, so among several sets the order is as good as can be, and exact only within one.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { answerWithin, masterToAsk } from './masters.ts';

/** One receive of so many asks the sets in turn, so that a set with low priorities only is not forgotten. */
const IN_TURN_EVERY = 10;

export interface Offer {
  readonly set: string;
  readonly broker: BrokerApi;
  /** Undefined for whatever it has. */
  readonly leastPriority: number | undefined;
}

export interface PriorityPolls {
  /** The sets in the order in which this receive asks them in turn; undefined if it asks by priority. */
  inTurn(sets: readonly string[]): readonly string[] | undefined;
  /** Sets that have something, the highest offer first; one that does not answer within the time is left out. */
  offers(sets: readonly string[], group: string, topic: string, withinMs: number): Promise<readonly Offer[]>;
}

export function createPriorityPolls(dependencies: ProxyDependencies): PriorityPolls {
  let receives = 0;
  return {
    inTurn(sets) {
      receives = (receives + 1) % (IN_TURN_EVERY * LIMITS.placementSets);
      if (receives % IN_TURN_EVERY !== 0) return undefined;
      const first = (receives / IN_TURN_EVERY) % sets.length;
      return [...sets.slice(first), ...sets.slice(0, first)];
    },

    async offers(sets, group, topic, withinMs) {
      const { cluster } = dependencies;
      const found = await Promise.all(
        sets.map(async (set) => {
          const broker = masterToAsk(cluster, set, undefined, 0)?.api;
          if (broker === undefined) return undefined;
          const peeking = answerWithin(dependencies, set, withinMs, () => broker.peekPriority(group, topic));
          const { value: priority = -1 } = await peeking;
          return priority < 0 ? undefined : { set, broker, priority };
        }),
      );
      const offers = found.filter((each) => each !== undefined).sort((a, b) => b.priority - a.priority);
      return offers.map(({ set, broker }, i) => ({ set, broker, leastPriority: offers[i + 1]?.priority }));
    },
  };
}
