// Everybody who watches the routes. A new watcher is told everything, later only what changes; each is told at the
// speed at which it reads, and several changes of one topic that it has not read yet become one.

import type { Fault } from '@fulmar/core/errors.ts';
import { takeFrame } from '@fulmar/core/frames.ts';
import type { WatchEvent } from '@fulmar/core/name-service.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import type { Registry } from './registry.ts';

/** The sending half of a watch. */
export interface WatchStream {
  /** False: wait for `Watcher.onDrain` before the next one. */
  send(event: WatchEvent): boolean;
  end(reason: Fault): void;
}

export interface Watcher {
  onDrain(): void;
  onEnd(): void;
}

interface State {
  readonly stream: WatchStream;
  readonly topics: Set<string>;
  /** The list of brokers, or just the news that the NameServer has settled, is still to be told. */
  brokers: boolean;
  flags: boolean;
  blocked: boolean;
}

export class Watchers {
  readonly #registry: Registry;
  readonly #timers: Timers;
  readonly #states = new Set<State>();
  #flushIsDue = false;

  constructor(registry: Registry, timers: Timers) {
    this.#registry = registry;
    this.#timers = timers;
  }

  get size(): number {
    return this.#states.size;
  }

  add(stream: WatchStream): Watcher {
    const topics = new Set(this.#registry.topicNames());
    const state: State = { stream, topics, brokers: true, flags: true, blocked: false };
    this.#states.add(state);
    this.#flushSoon();
    return {
      onDrain: () => {
        state.blocked = false;
        if (this.#states.has(state)) this.#flush(state);
      },
      onEnd: () => this.#states.delete(state),
    };
  }

  topicsChanged(names: readonly string[]): void {
    for (const { topics } of this.#states) {
      for (const name of names) topics.add(name);
    }
    this.#flushSoon();
  }

  brokersChanged(): void {
    for (const state of this.#states) state.brokers = true;
    this.#flushSoon();
  }

  /** Tells all who could read it that the NameServer lives, and whether it has settled. */
  signOfLife(): void {
    for (const state of this.#states) state.flags = true;
    this.#flushSoon();
  }

  endAll(reason: Fault): void {
    for (const { stream } of this.#states) stream.end(reason);
    this.#states.clear();
  }

  /** All that happens in one turn goes out in one event. */
  #flushSoon(): void {
    if (this.#flushIsDue) return;
    this.#flushIsDue = true;
    this.#timers.soon(() => {
      this.#flushIsDue = false;
      for (const state of this.#states) this.#flush(state);
    });
  }

  #flush(state: State): void {
    while (!state.blocked && (state.topics.size > 0 || state.brokers || state.flags)) {
      const { put, deleted } = takeFrame(state.topics, (name) => this.#registry.route(name), bytesOf);
      const brokers = state.brokers ? { brokers: this.#registry.brokers() } : {};
      state.brokers = false;
      state.flags = false;
      const more = state.topics.size > 0;
      const event = { putTopics: put, deletedTopics: deleted, ...brokers, more, settled: this.#registry.settled };
      state.blocked = !state.stream.send(event);
    }
  }
}

function bytesOf(route: TopicRoute): number {
  return route.shares.reduce((bytes, share) => bytes + share.set.length + 8, route.topic.length + 24);
}
