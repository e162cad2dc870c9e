// Every bound of the system, in one place. A request that would pass one is refused with a clear code before memory is
// spent on it. The relations between bounds are asserted when the module is loaded.
import { assert } from './errors.ts';

const KIB = 1024;
const MIB = 1024 * 1024;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const LIMITS = {
  // --- messages
  bodyBytes: 4 * MIB,
  propertiesBytes: 16 * KIB,
  propertiesCount: 128,
  topicNameLength: 127,
  groupNameLength: 120,
  namespaceLength: 64,
  tagBytes: 128,
  keyBytes: 1024,
  keysCount: 64,
  messageGroupLength: 64,
  messageIdBytes: 256,
  traceContextBytes: 1024,
  hostBytes: 256,
  sendBatchMessages: 128,
  /** One SendMessage call, all messages together. */
  sendBatchBytes: 16 * MIB,

  // --- transport
  grpcReceiveBytes: 17 * MIB,
  headerListBytes: 16 * KIB,
  clientIdLength: 255,
  connections: 10_000,
  concurrentStreamsPerConnection: 4_096,
  /** All connections together. A receive that waits costs six KiB where proxy and broker are one process. */
  concurrentStreams: 100_000,
  /** Bytes of requests that all connections together may have under way. */
  inFlightRequestBytes: 40 * MIB,
  /** Bytes of answers that may wait in memory for slow readers, all connections together. */
  bufferedResponseBytes: 32 * MIB,
  telemetryBufferedCommands: 64,
  clientSessions: 50_000,
  /** Processes that share the port of a proxy. */
  proxyWorkers: 64,
  /** Questions of one worker to the others that wait for answers. */
  workerQuestions: 256,
  /** Connections that wait while no worker takes any. */
  waitingConnections: 1_024,
  subscriptionsPerClient: 256,
  telemetrySettingsBytes: 64 * KIB,

  // --- administration
  /** Clients that are being asked something for people. */
  clientQuestions: 256,
  /** Subscriptions in one answer of the official admin service, which knows no pages. */
  listedSubscriptions: 10_000,
  /** Queues whose times one question may be about. */
  timeSpanQueues: 1_024,
  foundMessages: 64,
  /** Messages that one question looks at before it says where to go on. */
  searchedMessages: 20_000,
  /** Pages of each broker that one question goes through until something is found. */
  searchedPages: 8,

  // --- receiving
  /** How long the record of a delivery that was answered may wait for another one to share its write with. */
  unhurriedMs: 50,
  receiveBatchMessages: 32,
  receiveBatchBytes: 5 * MIB,
  longPollMinMs: 500,
  longPollMaxMs: 20 * SECOND,
  /** An answer leaves this long before the caller's deadline. */
  deadlineMarginMs: 500,
  invisibleMinMs: 1 * SECOND,
  invisibleMaxMs: 12 * HOUR,
  autoRenewMaxMs: 3 * HOUR,
  waitersPerSubscription: 60_000,
  waitersTotal: 100_000,
  filterExpressionBytes: 4 * KIB,
  filterTags: 256,
  /** Parentheses and NOTs of an SQL filter, one in the other. */
  filterDepth: 32,
  /** Comparisons that an SQL filter may make for one message. */
  filterCost: 256,
  /** Filters that members of a group ask for in vain, shown to administrators. */
  refusedFiltersShown: 10,

  // --- state of a broker set
  topics: 100_000,
  queuesPerTopic: 1_024,
  groups: 100_000,
  /** Client ids that a broadcasting group keeps a place for; those that have gone are forgotten after this time. */
  membersPerGroup: 1_000,
  members: 20_000,
  memberKeptMs: 1 * HOUR,
  /** Messages of one group and topic that are handed out and not yet acknowledged, or wait behind such a one. */
  leasesPerSubscription: 200_000,
  leasesTotal: 1_000_000,
  /** Recent message ids by which a producer's retry is recognised. */
  recentMessageIds: 262_144,
  recentMessageIdMs: 60 * SECOND,
  maxAttempts: 1_000,
  /** Messages have a priority below this; each is a queue of its own in a priority topic. */
  priorities: 100,
  /** A priority that has waited so long behind higher ones has one of so many messages until it has caught up. */
  priorityPatienceMs: 10 * SECOND,
  priorityMessagesForOneOutOfTurn: 10,
  /** Broker sets that the message groups of one topic are spread over. */
  placementSets: 256,
  /** Half messages without a decision, expired ones included. */
  openTransactions: 100_000,
  /** Records of all half messages without a decision. */
  openTransactionBytes: 1_024 * MIB,
  /** Transactions whose end is remembered, so that a repeated or contradicting decision is recognised. */
  endedTransactions: 65_536,

  // --- lite topics
  liteTopicNameLength: 64,
  /** Of all LITE topics of a broker set together; each one that a group reads costs some KiB. */
  liteTopics: 50_000,
  /** The longest time without a message after which a lite topic ends, if it ends at all. */
  liteExpirationMs: 30 * 24 * HOUR,
  /** Lite topics that one consumer may read. */
  liteSubscriptionsPerClient: 2_000,
  /** Of all consumers of a broker set together. */
  liteSubscriptions: 400_000,
  listedLiteTopics: 1_000,

  // --- transaction checks
  checksPerCall: 32,
  checkBytesPerCall: 5 * MIB,
  /** Topics that a proxy names in one question for checks. */
  checkedTopics: 4_096,
  publishedTopicsPerClient: 256,
  /** Topics that the producers of one proxy publish, each counted for each of them. */
  publishedTopics: 200_000,
  listedTransactions: 1_000,

  // --- delayed messages
  /** The longest delay, unless it is set otherwise: a leap year. */
  delayMs: 366 * 24 * HOUR,
  /** Delivery times are rounded up to whole steps, so that those of one step become one write. */
  delayStepMs: 10,
  /** Messages of one broker set that wait for their time. */
  delayedMessages: 4_000_000,
  /** Part of the log's bound that they may take: with more than half, carrying them forward would never end. */
  delayedShareOfLog: 0.5,
  /** Messages that are written anew at once because retention wants their segment, and the bytes of these. */
  delayedCarryBatch: 512,
  delayedCarryBatchBytes: 1 * MIB,
  /** Messages and bytes that are written into their queues in one turn, before others have theirs. */
  delayedFireBatch: 4_096,
  delayedFireBatchBytes: 2 * MIB,
  /** Messages that are read from the log ahead of their time in one go, and the bytes of these. */
  delayedReadBatch: 16_384,
  delayedReadBatchBytes: 8 * MIB,
  /** Bytes of messages that are held in memory because their time is near. */
  delayedAheadBytes: 48 * MIB,
  /** Bytes of messages on their way into their queues that are not committed yet. */
  delayedFiringBytes: 8 * MIB,

  // --- finding messages
  findMessages: 1_000,
  /** Bytes of messages in one answer, unless a single one is larger. */
  foundBytes: 4 * MIB,
  /** Segments that one call looks into for a key. */
  findSegments: 512,
  /** Records that one call reads because their hash fits. */
  findReads: 4_096,
  /** Bytes of the log that one call reads to tell what became of a message. */
  traceBytes: 64 * MIB,
  /** Groups that one call tells about. */
  tracedGroups: 1_000,
  /** Dead letters that one call redrives; they become one record. */
  redriveLetters: 512,
  /** Gaps between the redriven letters of a group, of which each is remembered. */
  redrivenRanges: 10_000,
  // --- recurring messages
  /** Of one broker set. */
  schedules: 1_000,
  /** Their messages together: they are kept in memory, and written into every snapshot. */
  schedulesBytes: 4 * MIB,
  scheduledMessageBytes: 64 * KIB,
  cronLength: 256,
  /** Recurring messages sent in one turn: a next time takes up to two milliseconds on days when clocks are changed. */
  scheduleFireBatch: 32,

  // --- record of a broker set
  setMembers: 16,
  setLosses: 64,
  setTextLength: 256,
  setRecordBytes: 64 * KIB,

  // --- between replicas
  /** Records in one message, unless a single one is larger. */
  replicationBatchBytes: 1 * MIB,
  replicationMessageBytes: 8 * MIB,
  /** Part of a file of a snapshot. */
  replicationPartBytes: 4 * MIB,
  manifestFiles: 100_000,
  manifestNameLength: 64,
  refusalTextBytes: 1_024,

  // --- metrics
  /** Series of one metric whose labels hold names that users choose; the rest is told together. */
  metricSeries: 2_000,
  /** Subscriptions whose oldest message is looked up in the log for each collection. */
  lagLooks: 1_000,

  // --- log
  recordBytes: 6 * MIB,
  /** Records that wait for the disk; beyond it sends are refused with TOO_MANY_REQUESTS. */
  pendingAppendBytes: 40 * MIB,
  appendBatchBytes: 8 * MIB,
  tailCacheBytes: 32 * MIB,
  /** Parts of index files held in memory. */
  indexCacheBytes: 64 * MIB,
  /** Places of queues in sealed segments held in memory; about a hundred bytes each. */
  indexLinks: 200_000,
} as const;

assert(LIMITS.sendBatchBytes < LIMITS.grpcReceiveBytes, 'a full batch fits into one gRPC message');
assert(
  LIMITS.bodyBytes + LIMITS.propertiesBytes + 256 * KIB < LIMITS.recordBytes,
  'the largest message fits into one record',
);
assert(LIMITS.recordBytes < LIMITS.appendBatchBytes, 'the largest record fits into one append batch');
assert(LIMITS.bodyBytes < LIMITS.receiveBatchBytes, 'the largest message fits into one receive answer');
assert(
  LIMITS.bodyBytes + LIMITS.propertiesBytes < LIMITS.checkBytesPerCall,
  'the largest half message fits into one answer',
);
assert(LIMITS.appendBatchBytes < LIMITS.pendingAppendBytes, 'more than one batch may wait');
assert(LIMITS.priorities <= LIMITS.queuesPerTopic, 'a topic can have a queue for each priority');
assert(LIMITS.recordBytes < LIMITS.delayedReadBatchBytes, 'the largest delayed message can be read ahead');
assert(LIMITS.longPollMinMs < LIMITS.longPollMaxMs, 'long poll bounds are in order');
// Of texts without characters that JSON has to escape.
assert(
  LIMITS.setMembers * 5 * (LIMITS.setTextLength + 64) + LIMITS.setLosses * (LIMITS.setTextLength + 128) <
    LIMITS.setRecordBytes,
  'the largest set record fits into its bound',
);
assert(
  LIMITS.replicationBatchBytes + LIMITS.recordBytes + 64 * KIB < LIMITS.replicationMessageBytes,
  'a full batch and one record more fit into one message between replicas',
);
assert(
  LIMITS.manifestFiles * (LIMITS.manifestNameLength + 16) < LIMITS.replicationMessageBytes,
  'the largest manifest fits into one message between replicas',
);
