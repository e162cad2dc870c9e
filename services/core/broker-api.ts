// What a broker offers to the proxies of its cluster: the data plane and the administration of one broker set. The
// same interface is served in-process (embedded) and over the pipelined gRPC stream of `fulmar.v1.BrokerData`.
// Every method answers with a value; faults are part of the answer, a rejected promise is a bug or a lost connection.
import type { Fault, Outcome } from './errors.ts';
import type { FindingApi } from './finding-api.ts';
import type { LiteApi, LiteBinding } from './lite-api.ts';
import type {
  GroupOffset,
  OffsetTarget,
  PullCommand,
  PulledMessages,
  QueueName,
  QueueReset,
  ResetCommand,
} from './offsets.ts';
import type { Placement } from './placement.ts';
import type { ScheduleApi } from './schedule-api.ts';
import type { HalfOrigin, TransactionApi } from './transaction-api.ts';

/** Numbers as in the MessageType enum of apache.rocketmq.v2. */
export const MESSAGE_TYPE = { normal: 1, fifo: 2, delay: 3, transaction: 4, lite: 5, priority: 6 } as const;

/** `mixed` takes normal, FIFO, delayed and transactional messages; what is created by its first use is that. */
export type TopicType = 'normal' | 'fifo' | 'delay' | 'transaction' | 'priority' | 'lite' | 'mixed';
export const TOPIC_TYPES: readonly TopicType[] = [
  'normal',
  'fifo',
  'delay',
  'transaction',
  'priority',
  'lite',
  'mixed',
];

export interface TopicDescription {
  /** The whole name: `namespace/name`, or just the name in the default namespace. */
  readonly name: string;
  readonly type: TopicType;
  /** Queues of this topic on this broker set. */
  readonly queues: number;
  readonly createdAtMs: number;
  /** Undefined for topics that brokers make by themselves, and for those of earlier versions. */
  readonly placement?: Placement | undefined;
  /** After so long without a message a lite topic of this LITE topic ends; never if undefined. */
  readonly liteExpirationMs?: number | undefined;
}

export interface Backoff {
  /** Delay before attempt n + 1 is `delaysMs[n - 1]`; the last one repeats. Never empty. */
  readonly delaysMs: readonly number[];
}

/**
 * How the consumers of a group share its messages. `shared`: each of them takes from every queue. `exclusive`: each
 * queue belongs to one of them at a time. `broadcasting`: each of them gets every message. In the order of their
 * numbers between proxies and brokers.
 */
export type ConsumeMode = 'shared' | 'broadcasting' | 'exclusive';
export const CONSUME_MODES: readonly ConsumeMode[] = ['shared', 'broadcasting', 'exclusive'];

export interface GroupDescription {
  readonly name: string;
  readonly fifo: boolean;
  /** Deliveries of one message before it goes to the dead-letter topic. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly consume: ConsumeMode;
  readonly from: 'latest' | 'earliest';
  readonly createdAtMs: number;
  /** Only for a group of lite consumers. */
  readonly lite?: LiteBinding | undefined;
}

/**
 * A message on its way to the log. The three parts are fields of the client's own `Message` protobuf, kept as bytes.
 */
export interface MessageToStore {
  readonly messageId: string;
  readonly type: number;
  /** Empty for none. */
  readonly tag: string;
  readonly keys: readonly string[];
  /** Empty for none. Of a lite message the name of its lite topic, which keeps it in order in the same way. */
  readonly messageGroup: string;
  /** Of a priority message; the higher one is delivered first. */
  readonly priority?: number;
  readonly bornAtMs: number;
  /** 0 for "at once". */
  readonly deliverAtMs: number;
  /** All `user_properties` fields of the Message, tags included. */
  readonly userPart: Uint8Array;
  /**
   * The content of `system_properties` (without its own tag and length): only what the producer owns, and the digest.
   */
  readonly systemPart: Uint8Array;
  /** The content of `body`. */
  readonly body: Uint8Array;
  /** Present in a half message: it is kept out of sight until its transaction is committed. */
  readonly half?: HalfOrigin;
}

export interface SendCommand {
  readonly topic: string;
  readonly messages: readonly MessageToStore[];
}

export type SendResult =
  | {
      readonly fault?: undefined;
      readonly queueId: number;
      /** 0 for a message that waits for its time, and for a half message. */
      readonly queueOffset: number;
      /** Only for a delayed message. */
      readonly recallHandle?: string;
      /** Only for a half message. */
      readonly transactionId?: string;
    }
  | { readonly fault: Fault };

/** With neither of the two, every message passes. */
export interface MessageFilter {
  readonly tags?: readonly string[];
  /** An SQL expression on the properties. */
  readonly sql?: string;
}

export interface PopCommand {
  readonly group: string;
  readonly topic: string;
  readonly clientId: string;
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** How long the messages stay invisible to others; with `autoRenew` as long as the client is online, 3 h at most. */
  readonly invisibleMs: number;
  readonly autoRenew: boolean;
  readonly filter: MessageFilter;
  /** How long to wait for the first message. */
  readonly waitMs: number;
  /** Names one logical receive: repeated by a client that never saw the answer. Empty for none. */
  readonly attemptId: string;
  /** In a priority topic: ends at once when there is nothing of this priority or a higher one. */
  readonly leastPriority?: number;
}

/** A consumer that is about to receive, and asks what its part is. */
export interface JoinCommand {
  readonly group: string;
  readonly topic: string;
  readonly clientId: string;
}

export interface PoppedMessage {
  readonly receiptHandle: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly attempt: number;
  readonly invisibleMs: number;
  readonly bornAtMs: number;
  readonly storedAtMs: number;
  readonly userPart: Uint8Array;
  readonly systemPart: Uint8Array;
  readonly body: Uint8Array;
}

/** An empty list is the ordinary end of a poll in which nothing came. */
export type PopResult = Outcome<readonly PoppedMessage[]>;

/** Handed into `pop`; `cancel` ends the wait at once and gives back, without a counted attempt, what was taken. */
export interface PopCall {
  readonly result: Promise<PopResult>;
  cancel(): void;
}

export interface AckCommand {
  readonly group: string;
  readonly topic: string;
  readonly receiptHandles: readonly string[];
}

export interface ChangeInvisibleCommand {
  readonly group: string;
  readonly topic: string;
  readonly receiptHandle: string;
  readonly invisibleMs: number;
  /** Raise a negative acknowledgement of a push consumer to the group's own delay for that attempt. */
  readonly raiseToBackoff: boolean;
  /** The delivery does not count as an attempt. */
  readonly suspend?: boolean;
}

export interface DeadLetterCommand {
  readonly group: string;
  readonly topic: string;
  /** May be empty: then the lease is looked up by message id and client. */
  readonly receiptHandle: string;
  readonly messageId: string;
  readonly clientId: string;
}

export interface RecallCommand {
  readonly topic: string;
  readonly recallHandle: string;
}

export interface ClientsReport {
  /** Names the reporter (one proxy process). */
  readonly proxyId: string;
  /** Every consumer that is online at this proxy. */
  readonly online: readonly string[];
  /** Consumers that said goodbye or have been silent for too long. */
  readonly gone: readonly string[];
  /** Consumers whose connection broke so soon after an answer that it may not have arrived. */
  readonly doubtful: readonly string[];
  /** Consumers whose connection broke some seconds ago, and of which nothing has been heard since. */
  readonly lost: readonly string[];
}

export interface TopicRequest {
  readonly name: string;
  readonly type: TopicType;
  readonly queues: number;
  /** Counts if the topic is new or has an older one. */
  readonly placement?: Placement | undefined;
  /** As in the description; a topic that exists takes it over. */
  readonly liteExpirationMs?: number | undefined;
  /** The topic exists with another type and is to get this one; `check` only asks whether it could. */
  readonly typeChange?: 'check' | 'change' | undefined;
}

export interface GroupRequest {
  readonly name: string;
  readonly fifo: boolean;
  readonly maxAttempts: number;
  readonly backoffMs: readonly number[];
  readonly consume: ConsumeMode;
  readonly from: 'latest' | 'earliest';
  /** Decided once, when the group is made. */
  readonly lite?: LiteBinding | undefined;
}

export interface QueueStatus {
  readonly queueId: number;
  /** Offset of the oldest message kept. */
  readonly minOffset: number;
  /** Offset that the next message will get. */
  readonly maxOffset: number;
}

export interface TopicStatus extends TopicDescription {
  /** Messages that wait for their time; they are in no queue yet. */
  readonly delayedMessages: number;
  readonly queueStatus: readonly QueueStatus[];
}

/** How far one group has come in one topic, on this broker set. */
export interface SubscriptionLag {
  readonly group: string;
  readonly topic: string;
  /** Messages not yet handed out. */
  readonly readyMessages: number;
  /** Messages handed out and not yet acknowledged. */
  readonly inFlightMessages: number;
  /** Age of the oldest message that is not yet acknowledged; 0 when there is none. */
  readonly lagMs: number;
  /** The filter that all members of the group consume this topic with, as text. */
  readonly filter: string;
  /** Filters that members ask for and do not get while others live with the one in force. */
  readonly refusedFilters: readonly string[];
  /** In an exclusive group: who each queue belongs to, as far as it belongs to somebody. */
  readonly owners: readonly QueueOwner[];
  /** In a broadcasting group: every consumer that has a place of its own. The numbers above are of those online. */
  readonly members: readonly MemberLag[];
}

export interface QueueOwner {
  readonly queueId: number;
  readonly clientId: string;
}

/** How far one member of a broadcasting group has come in one topic. */
export interface MemberLag {
  readonly clientId: string;
  /** Heard of lately; otherwise it is forgotten some time after it was last heard of. */
  readonly online: boolean;
  readonly readyMessages: number;
  readonly inFlightMessages: number;
  readonly lagMs: number;
}

/** One member of a broker set, as the replica that answers knows it. */
export interface ReplicaStatus {
  readonly name: string;
  readonly role: 'master' | 'slave';
  /** Bytes of the master's log that it is not known to have. */
  readonly lagBytes: number;
  /** It has every committed message, and may lead. */
  readonly inSync: boolean;
}

export interface BrokerStatus {
  readonly set: string;
  /** Name of the replica that answers. */
  readonly replica: string;
  readonly role: 'master' | 'slave' | 'starting' | 'failed';
  readonly epoch: number;
  readonly startPosition: number;
  readonly endPosition: number;
  readonly commitPosition: number;
  readonly topics: number;
  readonly groups: number;
  readonly flush: 'sync' | 'async';
  /** Whether a send is answered when the in-sync set has it, or when the master has. */
  readonly acknowledge: 'isr' | 'leader';
  /** Names of the replicas of which each has every committed message. */
  readonly inSync: readonly string[];
  /** With fewer in the in-sync set nothing is written. */
  readonly minInSync: number;
  /** All members that are known, in the order of their names. */
  readonly replicas: readonly ReplicaStatus[];
  /** Why writes are refused, in one sentence; empty while they are taken. */
  readonly writesRefused: string;
  readonly version: string;
}

export interface BrokerApi {
  /** One result for each message, in order; all of them are durable (by the flush policy) when the promise resolves. */
  send(command: SendCommand): Promise<readonly SendResult[]>;
  pop(command: PopCommand): PopCall;
  /**
   * The highest priority that a receive of this group would find in this priority topic now, as far as can be said
   * without looking at messages; -1 when there is nothing.
   */
  peekPriority(group: string, topic: string): Promise<Outcome<number>>;
  /**
   * Makes the client a consumer of the group in the topic, as its first receive would. The queues that are its own, if
   * each queue of the group belongs to one consumer; undefined if it may be handed messages of all of them.
   */
  join(command: JoinCommand): Promise<Outcome<readonly number[] | undefined>>;
  /** Gives popped messages back at once without a counted attempt, because their answer did not reach the client. */
  release(command: AckCommand): Promise<void>;
  /** One entry for each handle: undefined when it is settled (or was already), else why not. */
  ack(command: AckCommand): Promise<readonly (Fault | undefined)[]>;
  changeInvisible(command: ChangeInvisibleCommand): Promise<Fault | undefined>;
  deadLetter(command: DeadLetterCommand): Promise<Fault | undefined>;
  /** Undefined when the message will never be delivered; NOT_FOUND when it was, or was recalled before. */
  recall(command: RecallCommand): Promise<Fault | undefined>;
  reportClients(report: ClientsReport): Promise<void>;
  readonly transactions: TransactionApi;
  readonly finding: FindingApi;
  readonly lite: LiteApi;
  readonly schedules: ScheduleApi;

  /** The group, made with default settings first if there is none and `create` is set. */
  ensureGroup(name: string, create: boolean): Promise<Outcome<GroupDescription>>;
  putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>>;
  deleteTopic(name: string): Promise<Fault | undefined>;
  listTopics(): Promise<readonly TopicDescription[]>;
  describeTopic(name: string): Promise<Outcome<TopicStatus>>;
  putGroup(request: GroupRequest): Promise<Outcome<GroupDescription>>;
  deleteGroup(name: string): Promise<Fault | undefined>;
  /** The group forgets its place in the topic, and what it holds there is void. NOT_FOUND if it has none. */
  deleteSubscription(group: string, topic: string): Promise<Fault | undefined>;
  listGroups(): Promise<readonly GroupDescription[]>;
  /** Lag of one group, or of all with an empty name. */
  lag(group: string): Promise<Outcome<readonly SubscriptionLag[]>>;
  /** Reads without a lease, for consumers that pull. ILLEGAL_OFFSET outside of what the queue has. */
  pull(command: PullCommand): Promise<Outcome<PulledMessages>>;
  /** Stores how far a consumer that pulls has come. */
  putOffset(offset: GroupOffset): Promise<Fault | undefined>;
  /** What `putOffset` has stored; OFFSET_NOT_FOUND if nothing. */
  getOffset(group: string, queue: QueueName): Promise<Outcome<number>>;
  findOffset(queue: QueueName, target: OffsetTarget): Promise<Outcome<number>>;
  /** Sets a group back or forward: one entry for each queue of each topic that is concerned. */
  resetGroup(command: ResetCommand): Promise<Outcome<readonly QueueReset[]>>;
  status(): Promise<BrokerStatus>;
  /**
   * Hands the set over to the replica of this name, or to the best one for ''. Resolves when another may take over: the
   * master takes no more calls then, and nothing that it answered OK to is lost.
   */
  stepDown(preferred: string): Promise<Fault | undefined>;
}
