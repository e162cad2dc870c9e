// What the handlers of the proxy are given by `main`: the cluster, the ports to the outside, and the few values of the
// configuration that change what clients see.
import type { Clock, Logger, Observer, Random, Timers } from '@fulmar/core/ports.ts';
import type { Cluster } from '@fulmar/core/route.ts';
import type { Colleagues } from '../clients/colleagues.ts';

export interface ProxyConfig {
  /** Topics and consumer groups come into being by their first use. */
  readonly autoCreate: boolean;
  /** `host:port` of each address that clients shall be told; empty: the address that they themselves used. */
  readonly advertisedEndpoints: readonly string[];
  readonly clusterName: string;
  /** Names this proxy process in its reports to brokers; unique among all that run. */
  readonly proxyId: string;
  /** Clients that are known at the same time. */
  readonly clientSessions?: number;
  /** Topics that all of them together publish. */
  readonly publishedTopics?: number;
}

export interface ProxyDependencies {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly config: ProxyConfig;
  /** The other workers; none if absent. */
  readonly colleagues?: Colleagues;
}

/** Queues that a topic gets on each broker set when it is created by its first use. */
export const AUTO_CREATED_QUEUES = 8;
