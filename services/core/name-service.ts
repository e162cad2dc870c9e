// What brokers tell NameServers and what NameServers tell everybody: the messages of `fulmar.v1.NameServer` as plain
// values, and the connection to one NameServer as an interface, so that registration and routing run over gRPC and over
// a simulated network alike.
import type { TopicType } from './broker-api.ts';
import type { Placement } from './placement.ts';
import type { BrokerEntry, TopicRoute } from './route.ts';

/** A topic as one broker set has it. */
export interface BrokerTopic {
  readonly name: string;
  readonly type: TopicType;
  readonly queues: number;
  readonly placement?: Placement | undefined;
}

export interface BrokerReport {
  /** In the first report, and whenever role, epoch or address have changed. */
  readonly broker?: BrokerEntry;
  readonly putTopics: readonly BrokerTopic[];
  readonly deletedTopics: readonly string[];
  /** The full report, with which every stream begins, goes on in the next frame. */
  readonly more: boolean;
  /** The broker leaves: it is dropped at once. */
  readonly goodbye?: boolean;
}

export interface RegisterReply {
  /** Silence after which the NameServer drops the broker. */
  readonly expiryMs: number;
}

export interface WatchEvent {
  readonly putTopics: readonly TopicRoute[];
  readonly deletedTopics: readonly string[];
  /** If present: all brokers, in place of those told before. */
  readonly brokers?: readonly BrokerEntry[];
  /** More events of the same change follow; the snapshot ends with the first event in which this is false. */
  readonly more: boolean;
  /** False while the NameServer has just started and brokers may not have come back to it yet. */
  readonly settled: boolean;
}

export interface RegisterListener {
  onReply(reply: RegisterReply): void;
  /** After a `send` that returned false: there is room again. */
  onDrain(): void;
  /** Called once, for whatever reason the stream ended, unless `cancel` did it. */
  onEnd(reason: string): void;
}

export interface RegisterCall {
  /** Always takes the report; false asks the caller to wait for `onDrain` before the next large one. */
  send(report: BrokerReport): boolean;
  /** Says goodbye and ends the stream: the NameServer drops the broker at once. */
  finish(): void;
  cancel(): void;
}

export interface WatchListener {
  onEvent(event: WatchEvent): void;
  /** Called once, for whatever reason the stream ended, unless `cancel` did it. */
  onEnd(reason: string): void;
}

export interface WatchCall {
  cancel(): void;
}

/**
 * A connection to one NameServer. Nothing here throws; what fails ends in `onEnd`, never before the call has returned.
 */
export interface NameServerConnection {
  register(listener: RegisterListener): RegisterCall;
  watch(listener: WatchListener): WatchCall;
  /** No new streams; those that were finished or cancelled still say so to the NameServer. */
  close(): void;
}

export type ConnectNameServer = (address: string) => NameServerConnection;

/** Gives the current addresses (`host:port`) of all NameServers; asked again and again, because names move. */
export type ResolveAddresses = () => Promise<readonly string[]>;

export const NAME_SERVICE = {
  heartbeatMs: 3_000,
  /** Silence of a peer after which a stream is given up, and the default expiry of a broker. */
  silenceMs: 10_000,
  /** A broker whose stream broke without a goodbye has this long to come back before it is dropped. */
  reconnectGraceMs: 2_000,
  /**
   * A NameServer has settled after this many expiry times. More than one, because brokers learn of its address from
   * DNS, and an answer of DNS may be as old as that.
   */
  settleExpiries: 3,
  /** How long a set's highest epoch is remembered after its master was lost. */
  epochMemoryMs: 600_000,
  /** A frame of a report or of a watch is closed when its content is estimated at this size. */
  frameBytes: 256 * 1024,
  replicas: 4_096,
  watchers: 4_096,
  pageTopics: 1_000,
  nameLength: 255,
} as const;
