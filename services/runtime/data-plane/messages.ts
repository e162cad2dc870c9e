// What travels between a proxy and a broker on one `fulmar.v1.BrokerData` stream, as values. The codecs beside this
// file turn them into the bytes of `proto/fulmar/v1/broker.proto` and back.
import type {
  AckCommand,
  BrokerStatus,
  ChangeInvisibleCommand,
  ClientsReport,
  DeadLetterCommand,
  GroupDescription,
  GroupRequest,
  JoinCommand,
  PopCommand,
  PoppedMessage,
  RecallCommand,
  SendCommand,
  SendResult,
  SubscriptionLag,
  TopicDescription,
  TopicRequest,
  TopicStatus,
} from '@fulmar/core/broker-api.ts';
import type { Fault } from '@fulmar/core/errors.ts';
import type {
  FindQuery,
  FoundMessages,
  MessageTrace,
  RedriveCommand,
  Redriven,
  TraceQuery,
} from '@fulmar/core/finding-api.ts';
import type {
  ListLiteTopicsQuery,
  LiteLag,
  LiteLagsQuery,
  LiteReadersQuery,
  LiteSyncCommand,
  LiteTopicStatus,
  LostLiteTopics,
} from '@fulmar/core/lite-api.ts';
import type { GroupOffset, PullCommand, PulledMessages, QueueReset, ResetCommand } from '@fulmar/core/offsets.ts';
import type { ScheduleDescription, ScheduleRequest } from '@fulmar/core/schedule-api.ts';
import type {
  EndTransactionCommand,
  HalfMessage,
  ListTransactionsQuery,
  OpenTransaction,
  TakeChecksCommand,
} from '@fulmar/core/transaction-api.ts';
import type { Method } from '../grpc-client.ts';
import { RAW } from '../rpc.ts';
import type { FindOffset } from './offsets.ts';

export const BROKER_DATA = 'fulmar.v1.BrokerData';
export const OPEN: Method<Buffer, Buffer> = { service: BROKER_DATA, name: 'Open', codec: RAW };

export type BrokerCall =
  | { readonly method: 'send'; readonly command: SendCommand }
  | { readonly method: 'pop'; readonly command: PopCommand }
  | { readonly method: 'join'; readonly command: JoinCommand }
  | { readonly method: 'ack' | 'release'; readonly command: AckCommand }
  | { readonly method: 'changeInvisible'; readonly command: ChangeInvisibleCommand }
  | { readonly method: 'deadLetter'; readonly command: DeadLetterCommand }
  | { readonly method: 'recall'; readonly command: RecallCommand }
  | { readonly method: 'peekPriority'; readonly group: string; readonly topic: string }
  | { readonly method: 'reportClients'; readonly report: ClientsReport }
  | { readonly method: 'ensureGroup'; readonly name: string; readonly create: boolean }
  | { readonly method: 'putTopic'; readonly request: TopicRequest }
  | { readonly method: 'putGroup'; readonly request: GroupRequest }
  | { readonly method: 'deleteTopic' | 'describeTopic' | 'deleteGroup' | 'lag'; readonly name: string }
  | { readonly method: 'listTopics' | 'listGroups' | 'status' }
  | { readonly method: 'pull'; readonly command: PullCommand }
  | { readonly method: 'putOffset' | 'getOffset'; readonly offset: GroupOffset }
  | { readonly method: 'findOffset'; readonly find: FindOffset }
  | { readonly method: 'resetGroup'; readonly command: ResetCommand }
  | { readonly method: 'find'; readonly query: FindQuery }
  | { readonly method: 'trace'; readonly query: TraceQuery }
  | { readonly method: 'redrive'; readonly command: RedriveCommand }
  | { readonly method: 'syncLite'; readonly command: LiteSyncCommand }
  | { readonly method: 'listLiteTopics'; readonly query: ListLiteTopicsQuery }
  | { readonly method: 'liteLags'; readonly query: LiteLagsQuery }
  | { readonly method: 'liteReaders'; readonly query: LiteReadersQuery }
  | { readonly method: 'stepDown'; readonly preferred: string }
  | { readonly method: 'endTransaction'; readonly command: EndTransactionCommand }
  | { readonly method: 'takeChecks'; readonly command: TakeChecksCommand }
  | { readonly method: 'listTransactions'; readonly query: ListTransactionsQuery }
  | { readonly method: 'showTransaction' | 'resumeTransaction'; readonly transactionId: string }
  | { readonly method: 'createSchedule'; readonly request: ScheduleRequest }
  | { readonly method: 'pauseSchedule'; readonly name: string; readonly paused: boolean }
  | { readonly method: 'deleteSchedule'; readonly name: string }
  | { readonly method: 'listSchedules' }
  | { readonly method: 'deleteSubscription'; readonly group: string; readonly topic: string }
  /** Ends the wait of the pop with this id. */
  | { readonly method: 'cancel'; readonly callId: number };

export type BrokerReply =
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'send'; readonly results: readonly SendResult[] }
  | { readonly kind: 'pop'; readonly messages: readonly PoppedMessage[] }
  | { readonly kind: 'ack'; readonly faults: readonly (Fault | undefined)[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'group'; readonly group: GroupDescription }
  | { readonly kind: 'groups'; readonly groups: readonly GroupDescription[] }
  | { readonly kind: 'topic'; readonly topic: TopicDescription }
  | { readonly kind: 'topics'; readonly topics: readonly TopicDescription[] }
  | { readonly kind: 'topicStatus'; readonly topic: TopicStatus }
  | { readonly kind: 'lags'; readonly lags: readonly SubscriptionLag[] }
  | { readonly kind: 'pulled'; readonly pulled: PulledMessages }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'resets'; readonly resets: readonly QueueReset[] }
  | { readonly kind: 'found'; readonly found: FoundMessages }
  | { readonly kind: 'trace'; readonly trace: MessageTrace }
  | { readonly kind: 'redriven'; readonly redriven: Redriven }
  | { readonly kind: 'priority'; readonly priority: number }
  /** Queues that are somebody's own; undefined for all. */
  | { readonly kind: 'joined'; readonly queues: readonly number[] | undefined }
  | { readonly kind: 'status'; readonly status: BrokerStatus }
  | { readonly kind: 'halfMessages'; readonly messages: readonly HalfMessage[] }
  | { readonly kind: 'transactions'; readonly transactions: readonly OpenTransaction[] }
  | { readonly kind: 'lostLiteTopics'; readonly lost: readonly LostLiteTopics[] }
  | { readonly kind: 'liteTopics'; readonly topics: readonly LiteTopicStatus[] }
  | { readonly kind: 'liteLags'; readonly lags: readonly LiteLag[] }
  | { readonly kind: 'liteReaders'; readonly clientIds: readonly string[] }
  | { readonly kind: 'schedules'; readonly schedules: readonly ScheduleDescription[] };

export type ReplyKind = BrokerReply['kind'];

/** The field of `Call` that holds each method. */
export const CALL_FIELD = {
  send: 2,
  pop: 3,
  ack: 4,
  release: 5,
  changeInvisible: 6,
  deadLetter: 7,
  reportClients: 8,
  ensureGroup: 9,
  putTopic: 10,
  deleteTopic: 11,
  listTopics: 12,
  describeTopic: 13,
  putGroup: 14,
  deleteGroup: 15,
  listGroups: 16,
  lag: 17,
  status: 18,
  cancel: 19,
  stepDown: 20,
  recall: 40,
  peekPriority: 41,
  endTransaction: 50,
  takeChecks: 51,
  listTransactions: 52,
  showTransaction: 53,
  resumeTransaction: 54,
  pull: 60,
  putOffset: 61,
  getOffset: 62,
  findOffset: 63,
  resetGroup: 64,
  find: 65,
  trace: 66,
  redrive: 67,
  syncLite: 70,
  listLiteTopics: 71,
  liteLags: 72,
  liteReaders: 73,
  createSchedule: 80,
  pauseSchedule: 81,
  deleteSchedule: 82,
  listSchedules: 83,
  deleteSubscription: 84,
  join: 68,
} as const satisfies Record<BrokerCall['method'], number>;

/** The field of `Result` that holds each reply. */
export const REPLY_FIELD = {
  fault: 2,
  send: 3,
  pop: 4,
  ack: 5,
  done: 6,
  group: 7,
  groups: 8,
  topic: 9,
  topics: 10,
  topicStatus: 11,
  lags: 12,
  status: 13,
  priority: 41,
  halfMessages: 50,
  transactions: 51,
  pulled: 60,
  offset: 61,
  resets: 62,
  found: 63,
  trace: 64,
  redriven: 65,
  lostLiteTopics: 70,
  liteTopics: 71,
  liteLags: 72,
  liteReaders: 73,
  schedules: 80,
  joined: 68,
} as const satisfies Record<ReplyKind, number>;
