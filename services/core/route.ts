// Who serves what: the answer of a NameServer, and the view that proxies keep of the cluster.
import type { BrokerApi, TopicDescription, TopicRequest, TopicType } from './broker-api.ts';
import type { Fault, Outcome } from './errors.ts';
import type { Placement } from './placement.ts';

/** The part of a topic that one broker set holds. */
export interface TopicShare {
  readonly set: string;
  /** Queues 0 … queues - 1. */
  readonly queues: number;
}

export interface TopicRoute {
  readonly topic: string;
  readonly type: TopicType;
  /** Sorted by set name; never empty. */
  readonly shares: readonly TopicShare[];
  /** The sets of its message groups, whether they are there or not; undefined: those of `shares`. */
  readonly placement?: Placement | undefined;
}

/** One replica of a broker set, as a NameServer knows it. */
export interface BrokerEntry {
  readonly cluster: string;
  readonly set: string;
  readonly replica: string;
  readonly role: 'master' | 'slave';
  /** Of two masters of one set the one with the higher epoch counts. */
  readonly epoch: number;
  /** `host:port` of the broker's data plane, reachable inside the cluster. */
  readonly address: string;
  readonly version: string;
}

/** The master of a broker set as one proxy reaches it. */
export interface Master {
  readonly api: BrokerApi;
  /** Higher in every reign. */
  readonly epoch: number;
  /** False from the moment when the connection breaks until there is one again. */
  readonly reachable: boolean;
}

/**
 * The cluster as one proxy sees it, kept current by watching a NameServer. Reads are answered from memory.
 */
export interface Cluster {
  route(topic: string): TopicRoute | undefined;
  topics(): readonly TopicRoute[];
  /** The current master of a set, or undefined while none is known. */
  broker(set: string): BrokerApi | undefined;
  /** The same with what tells whether it is worth asking. */
  master(set: string): Master | undefined;
  /** Every set with a known master, sorted by name. */
  brokers(): readonly { readonly set: string; readonly api: BrokerApi }[];
  entries(): readonly BrokerEntry[];
  /** False while brokers may be missing because nobody here has been up for long enough to have heard of all. */
  readonly settled: boolean;
  /**
   * Creates the topic on every set (`queues` on each) and resolves when `route` shows it. A new topic is placed on the
   * sets that are known, an existing one stays where it is.
   */
  putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>>;
  /**
   * Spreads the message groups of an existing topic over the sets that are known now, also those that were added later.
   * Their order is not kept over that.
   */
  spreadTopic(name: string): Promise<Outcome<TopicDescription>>;
  /** Deletes it on every set and resolves when `route` no longer shows it. */
  deleteTopic(name: string): Promise<Fault | undefined>;
  /** Called after each change of routes, masters or connections to them. Returns a function that ends the calls. */
  onChange(listener: () => void): () => void;
}
