// Asks producers what became of half messages that nobody ended. Every second each broker set is asked which ones are
// due in topics that have a live producer here; each is put to one, and the set hears which questions have left.
// A question that could not be put is not counted, and is offered again.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Timers } from '@fulmar/core/ports.ts';
import type { Cluster } from '@fulmar/core/route.ts';
import type { HalfMessage } from '@fulmar/core/transaction-api.ts';

const ASK_EVERY_MS = 1_000;
/** Questions to one broker set in a row, before the others and the next second have their turn. */
const ROUNDS_MAX = 20;

export interface CheckerDependencies {
  readonly cluster: Cluster;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Topics that have a live producer here. */
  publishedTopics(): Iterable<string>;
  /** Puts the question to a live producer of the topic; false if there is none. */
  ask(half: HalfMessage): boolean;
}

export interface Checker {
  start(): void;
  stop(): void;
}

interface SetState {
  isBusy: boolean;
  /** Questions that have left and that the set has not been told of. */
  sent: readonly string[];
  /** With more topics than one call may name, the next call goes on here. */
  from: number;
}

export function createChecker({ cluster, timers, logger, publishedTopics, ask }: CheckerDependencies): Checker {
  const sets = new Map<string, SetState>();
  let stopped = true;

  function topicsOf(set: string): string[] {
    const topics: string[] = [];
    for (const topic of publishedTopics()) {
      const route = cluster.route(topic);
      const takesHalves = route?.type === 'transaction' || route?.type === 'mixed';
      if (takesHalves && route.shares.some((share) => share.set === set)) topics.push(topic);
    }
    return topics;
  }

  function partOf(topics: readonly string[], state: SetState): readonly string[] {
    if (topics.length <= LIMITS.checkedTopics) return topics;
    const from = state.from % topics.length;
    state.from = from + LIMITS.checkedTopics;
    return [...topics.slice(from), ...topics.slice(0, from)].slice(0, LIMITS.checkedTopics);
  }

  async function work(set: string, api: BrokerApi, state: SetState): Promise<void> {
    const topics = topicsOf(set);
    for (let round = 0; round < ROUNDS_MAX && !stopped; round++) {
      if (topics.length === 0 && state.sent.length === 0) return;
      const { sent } = state;
      const taken = await api.transactions.takeChecks({ topics: partOf(topics, state), sent });
      if (taken.fault !== undefined) return;
      state.sent = [];
      if (taken.value.length === 0) return;
      // The next round tells of these and takes more.
      state.sent = taken.value.filter((half) => ask(half)).map(({ transaction }) => transaction.transactionId);
    }
  }

  async function workAt(set: string, api: BrokerApi): Promise<void> {
    const state = sets.get(set) ?? { isBusy: false, sent: [], from: 0 };
    sets.set(set, state);
    if (state.isBusy) return;
    state.isBusy = true;
    try {
      await work(set, api, state);
    } catch (thrown) {
      logger.warn('a broker could not be asked for transactions to check', { set, error: String(thrown) });
    }
    state.isBusy = false;
  }

  function again(): void {
    timers.after(ASK_EVERY_MS, () => {
      if (stopped) return;
      for (const { set, api } of cluster.brokers()) void workAt(set, api);
      again();
    });
  }

  return {
    start() {
      stopped = false;
      again();
    },
    stop() {
      stopped = true;
    },
  };
}
