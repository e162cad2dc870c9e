// The messages of apache.rocketmq.v2 as plain objects, in the shape in which a descriptor-driven codec gives and takes
// them: camel case, enumerations and 64-bit integers as numbers, absent submessages null or undefined. Only what the
// handlers read or write is declared.

export interface Status {
  readonly code: number;
  readonly message: string;
}

export interface Resource {
  readonly resourceNamespace: string;
  readonly name: string;
}

/** google.protobuf.Duration and Timestamp. */
export interface WireTime {
  readonly seconds: number;
  readonly nanos: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Endpoints {
  readonly scheme: number;
  readonly addresses: readonly Address[];
}

export interface MessageQueue {
  readonly topic: Resource;
  readonly id: number;
  readonly permission: number;
  readonly broker: { readonly name: string; readonly id: number; readonly endpoints: Endpoints };
  readonly acceptMessageTypes: readonly number[];
}

type Maybe<T> = T | null | undefined;

export interface QueryRouteRequest {
  readonly topic?: Maybe<Resource>;
  readonly endpoints?: Maybe<Endpoints>;
}

export interface QueryRouteResponse {
  readonly status: Status;
  readonly messageQueues: readonly MessageQueue[];
}

export interface QueryAssignmentRequest {
  readonly topic?: Maybe<Resource>;
  readonly group?: Maybe<Resource>;
  readonly endpoints?: Maybe<Endpoints>;
}

export interface QueryAssignmentResponse {
  readonly status: Status;
  readonly assignments: readonly { readonly messageQueue: MessageQueue }[];
}

export interface HeartbeatRequest {
  readonly group?: Maybe<Resource>;
  readonly clientType?: number;
}

export interface RecallMessageRequest {
  readonly topic?: Maybe<Resource>;
  readonly recallHandle?: string;
}

export interface RecallMessageResponse extends StatusResponse {
  readonly messageId: string;
}

export interface NotifyClientTerminationRequest {
  readonly group?: Maybe<Resource>;
}

export interface StatusResponse {
  readonly status: Status;
}

export interface ForwardMessageToDeadLetterQueueRequest {
  readonly group?: Maybe<Resource>;
  readonly topic?: Maybe<Resource>;
  readonly receiptHandle?: string;
  readonly messageId?: string;
}

export interface EndTransactionRequest {
  readonly topic?: Maybe<Resource>;
  readonly transactionId?: string;
  readonly resolution?: number;
}

/** Of a queue that a client names only what says which one it is. */
export interface QueueReference {
  readonly topic?: Maybe<Resource>;
  readonly id?: number;
  readonly broker?: Maybe<{ readonly name?: string }>;
}

export interface UpdateOffsetRequest {
  readonly group?: Maybe<Resource>;
  readonly messageQueue?: Maybe<QueueReference>;
  readonly offset?: number;
}

export interface GetOffsetRequest {
  readonly group?: Maybe<Resource>;
  readonly messageQueue?: Maybe<QueueReference>;
}

export interface QueryOffsetRequest {
  readonly messageQueue?: Maybe<QueueReference>;
  readonly queryOffsetPolicy?: number;
  readonly timestamp?: Maybe<WireTime>;
}

export interface OffsetResponse {
  readonly status: Status;
  readonly offset: number;
}

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly exponentialBackoff?: Maybe<{
    readonly initial: Maybe<WireTime>;
    readonly max: Maybe<WireTime>;
    readonly multiplier: number;
  }>;
  readonly customizedBackoff?: Maybe<{ readonly next: readonly WireTime[] }>;
}

export interface Publishing {
  readonly topics?: Maybe<readonly Resource[]>;
  readonly maxBodySize?: number;
  readonly validateMessageType?: boolean;
}

export interface SubscriptionEntry {
  readonly topic?: Maybe<Resource>;
  readonly expression?: Maybe<{ readonly type: number; readonly expression: string }>;
}

export interface Subscription {
  readonly group?: Maybe<Resource>;
  readonly subscriptions?: Maybe<readonly SubscriptionEntry[]>;
  readonly fifo?: boolean;
  readonly receiveBatchSize?: number;
  readonly longPollingTimeout?: Maybe<WireTime>;
  readonly liteSubscriptionQuota?: number;
  readonly maxLiteTopicSize?: number;
}

export interface Settings {
  readonly clientType?: number;
  readonly accessPoint?: Maybe<Endpoints>;
  readonly backoffPolicy?: Maybe<RetryPolicy>;
  readonly requestTimeout?: Maybe<WireTime>;
  readonly publishing?: Maybe<Publishing>;
  readonly subscription?: Maybe<Subscription>;
  readonly userAgent?: Maybe<{ readonly language?: number; readonly version?: string }>;
  readonly metric?: Maybe<{ readonly on: boolean; readonly endpoints?: Maybe<Endpoints> }>;
  readonly clientProperties?: Maybe<Readonly<Record<string, string>>>;
}

export interface TelemetryCommand {
  readonly status?: Maybe<Status>;
  readonly settings?: Maybe<Settings>;
  readonly recoverOrphanedTransactionCommand?: Maybe<{ readonly message: unknown; readonly transactionId: string }>;
  readonly printThreadStackTraceCommand?: Maybe<{ readonly nonce: string }>;
  readonly threadStackTrace?: Maybe<{ readonly nonce: string; readonly threadStackTrace?: string }>;
  readonly verifyMessageCommand?: Maybe<{ readonly nonce: string; readonly message: unknown }>;
  readonly verifyMessageResult?: Maybe<{ readonly nonce: string }>;
  readonly notifyUnsubscribeLiteCommand?: Maybe<{ readonly liteTopic: string }>;
}

export interface SyncLiteSubscriptionRequest {
  readonly action?: number;
  readonly topic?: Maybe<Resource>;
  readonly group?: Maybe<Resource>;
  readonly liteTopicSet?: readonly string[];
  /** One of its members. */
  readonly offsetOption?: Maybe<{
    readonly policy?: number;
    readonly offset?: number;
    readonly tailN?: number;
    readonly timestamp?: number;
  }>;
}

export const CLIENT_TYPE = {
  unspecified: 0,
  producer: 1,
  pushConsumer: 2,
  simpleConsumer: 3,
  pullConsumer: 4,
  litePushConsumer: 5,
  liteSimpleConsumer: 6,
} as const;

export function isConsumerType(clientType: number): boolean {
  return clientType >= CLIENT_TYPE.pushConsumer && clientType <= CLIENT_TYPE.liteSimpleConsumer;
}

export function isLiteConsumerType(clientType: number): boolean {
  return clientType === CLIENT_TYPE.litePushConsumer || clientType === CLIENT_TYPE.liteSimpleConsumer;
}

export const ADDRESS_SCHEME = { ipv4: 1, ipv6: 2, domainName: 3 } as const;
export const PERMISSION_READ_WRITE = 4;
export const FILTER_TYPE = { unspecified: 0, tag: 1, sql: 2 } as const;
export const ENCODING = { unspecified: 0, identity: 1, gzip: 2 } as const;
export const DIGEST_MD5 = 2;

export function millisecondsOf(time: WireTime): number {
  return time.seconds * 1000 + Math.round(time.nanos / 1_000_000);
}

export function wireTime(milliseconds: number): WireTime {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanos: Math.round((milliseconds - seconds * 1000) * 1_000_000) };
}
