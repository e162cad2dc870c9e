// The cluster as one proxy sees it: routes from any one NameServer, a connection to the master of every broker set, and
// topics created and deleted on all sets. It promises that reads come from memory, that the last known routes stay
// while no NameServer answers, that an older master never replaces a newer one, and that who creates a topic sees it at
// once.
import type { BrokerApi, TopicDescription, TopicRequest } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome } from '@fulmar/core/errors.ts';
import { MasterEpochs } from '@fulmar/core/masters.ts';
import { NAME_SERVICE, type WatchEvent } from '@fulmar/core/name-service.ts';
import { placementOf } from '@fulmar/core/placement.ts';
import type { Timer } from '@fulmar/core/ports.ts';
import type { BrokerEntry, Cluster, Master, TopicRoute } from '@fulmar/core/route.ts';
import { BrokerLinks, type ConnectBroker } from './broker-links.ts';
import { type FollowerParts, NameServerFollower } from './name-server-follower.ts';
import { RouteTable } from './route-table.ts';
import { deleteTopicOn, liteExpirationOf, type OnAnswer, putTopicOn } from './topic-changes.ts';

export interface ClusterViewParts extends FollowerParts {
  readonly connectBroker: ConnectBroker;
}

/** How long a broker's own answer counts against what the NameServer says. */
const ANSWER_COUNTS_MS = 5_000;

export class ClusterView implements Cluster {
  readonly #parts: ClusterViewParts;
  readonly #table = new RouteTable(ANSWER_COUNTS_MS);
  readonly #epochs = new MasterEpochs(NAME_SERVICE.epochMemoryMs);
  readonly #links: BrokerLinks;
  readonly #follower: NameServerFollower;
  readonly #listeners = new Set<() => void>();
  /** Topics that are being created; the thousand sends that meet a new topic create it once. */
  readonly #creating = new Map<string, Promise<Outcome<TopicDescription>>>();
  readonly #firstRoutes = Promise.withResolvers<void>();
  #sortedTopics: readonly TopicRoute[] | undefined;
  #deadline: Timer | undefined;
  #ready = false;
  #settled = false;

  constructor(parts: ClusterViewParts) {
    this.#parts = parts;
    this.#links = new BrokerLinks(parts.connectBroker, () => this.#changed());
    this.#follower = new NameServerFollower(parts, {
      onBegin: () => this.#table.onBegin(),
      onEvent: (event) => this.#onEvent(event),
    });
  }

  /** Whether a NameServer has told everything once; routes are good to serve from then on. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether some NameServer that knew all brokers has told everything. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether a NameServer is answering at the moment. */
  get connected(): boolean {
    return this.#follower.connected;
  }

  whenReady(): Promise<void> {
    return this.#firstRoutes.promise;
  }

  route(topic: string): TopicRoute | undefined {
    return this.#table.route(topic);
  }

  topics(): readonly TopicRoute[] {
    this.#sortedTopics ??= this.#table.topics();
    return this.#sortedTopics;
  }

  broker(set: string): BrokerApi | undefined {
    return this.#links.get(set)?.api;
  }

  master(set: string): Master | undefined {
    return this.#links.get(set);
  }

  brokers(): readonly { readonly set: string; readonly api: BrokerApi }[] {
    return this.#links.all();
  }

  entries(): readonly BrokerEntry[] {
    return this.#table.entries();
  }

  putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    const key = `${request.name}\n${request.type}\n${request.queues}\n${request.liteExpirationMs}`;
    const running = this.#creating.get(key);
    if (running !== undefined) return running;
    const route = this.route(request.name);
    const placement = route === undefined ? placementOf(1, this.#sets()) : route.placement;
    const creation = this.#putOnAll({ ...request, placement }).finally(() => this.#creating.delete(key));
    this.#creating.set(key, creation);
    return creation;
  }

  async spreadTopic(name: string): Promise<Outcome<TopicDescription>> {
    const route = this.route(name);
    if (route === undefined)
      return failure('TOPIC_NOT_FOUND', `There is no topic ${name}. Look whether its name is right.`);
    const queues = Math.max(...route.shares.map((share) => share.queues));
    const placement = placementOf((route.placement?.version ?? 0) + 1, this.#sets());
    return this.#putOnAll({ name, type: route.type, queues, placement, ...(await liteExpirationOf(this, route)) });
  }

  deleteTopic(name: string): Promise<Fault | undefined> {
    const { shares = [], placement } = this.route(name) ?? {};
    const holders = new Set([...shares.map((share) => share.set), ...(placement?.sets ?? [])]);
    const missing = [...holders].filter((set) => !this.master(set)?.reachable);
    return deleteTopicOn(this.brokers(), missing, name, this.#parts.timers, this.#onAnswer);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#deadline?.cancel();
    this.#follower.close();
    this.#links.close();
    this.#listeners.clear();
  }

  /** Every set of which a replica is registered, whether it has a master at the moment or not. */
  #sets(): Set<string> {
    return new Set([...this.brokers(), ...this.entries()].map(({ set }) => set));
  }

  #putOnAll(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    return putTopicOn(this.brokers(), request, this.#parts.timers, this.#onAnswer);
  }

  readonly #onAnswer: OnAnswer = (set, name, topic) => {
    this.#table.onAnswer(set, name, topic, this.#nowMs());
    this.#arm();
    this.#changed();
  };

  #onEvent(event: WatchEvent): void {
    const changed = this.#table.onEvent(event);
    if (changed) this.#followMasters();
    const settles = !this.#settled && event.settled && !event.more;
    if (settles) this.#settled = true;
    if (!event.more && !this.#ready) {
      this.#ready = true;
      this.#firstRoutes.resolve();
    }
    if (changed || settles) this.#changed();
  }

  #followMasters(): void {
    const bySet = Map.groupBy(this.#table.entries(), (entry) => entry.set);
    const known = new Set([...bySet.keys(), ...this.brokers().map(({ set }) => set)]);
    const nowMs = this.#nowMs();
    const masters = [...known].map((set) => this.#epochs.choose(set, bySet.get(set) ?? [], nowMs));
    this.#links.follow(masters.filter((entry) => entry !== undefined));
    this.#epochs.forget(nowMs);
  }

  #arm(): void {
    this.#deadline?.cancel();
    const atMs = this.#table.nextDeadline();
    if (atMs === undefined) return;
    this.#deadline = this.#parts.timers.after(Math.max(0, atMs - this.#nowMs()), () => {
      this.#table.onDeadline(this.#nowMs());
      this.#changed();
      this.#arm();
    });
  }

  #changed(): void {
    this.#sortedTopics = undefined;
    for (const listener of this.#listeners) listener();
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }
}
