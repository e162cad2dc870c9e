// Every metric of every service: one row each. Names that begin with `rocketmq_` are those of the official server, with
// its labels and units, so that its dashboards work; our own begin with `fulmar_`.

export interface MetricRow {
  readonly name: string;
  /** A gauge is what was observed last; a sampled one is emptied before each collection and filled by its sampler. */
  readonly type: 'counter' | 'gauge' | 'sampled' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds; histograms only. */
  readonly buckets?: readonly number[];
}

const MILLISECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000];
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
const BYTES = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 2_097_152, 4_194_304];

const counter = (name: string, labels: readonly string[], help: string): MetricRow => ({
  name,
  type: 'counter',
  help,
  labels,
});
const gauge = (name: string, labels: readonly string[], help: string): MetricRow => ({
  name,
  type: 'gauge',
  help,
  labels,
});
const sampled = (name: string, labels: readonly string[], help: string): MetricRow => ({
  name,
  type: 'sampled',
  help,
  labels,
});
const histogram = (name: string, labels: readonly string[], buckets: readonly number[], help: string): MetricRow => ({
  name,
  type: 'histogram',
  help,
  labels,
  buckets,
});

const TOPIC = ['topic', 'message_type', 'is_system'];
const GROUP = ['topic', 'consumer_group', 'is_retry', 'is_system'];
const STORE = ['storage_type', 'storage_medium'];
const RPC = ['protocol_type', 'request_code', 'response_code', 'is_long_polling', 'result'];
const CONSUMER = ['language', 'version', 'protocol_type', 'consumer_group', 'consume_mode', 'is_system'];

export const METRICS: readonly MetricRow[] = [
  // --- traffic
  counter('rocketmq_messages_in_total', TOPIC, 'Messages stored.'),
  counter('rocketmq_throughput_in_total', TOPIC, 'Bytes of bodies stored.'),
  histogram('rocketmq_message_size', TOPIC, BYTES, 'Bytes of a body that was sent.'),
  counter('rocketmq_messages_out_total', GROUP, 'Messages handed out.'),
  counter('rocketmq_throughput_out_total', GROUP, 'Bytes of bodies handed out.'),
  counter('rocketmq_send_to_dlq_messages_total', GROUP, 'Messages that went to a dead-letter topic.'),
  histogram('rocketmq_rpc_latency', RPC, MILLISECONDS, 'Milliseconds from a request to its answer.'),

  // --- consumers
  sampled('rocketmq_consumer_lag_messages', GROUP, 'Messages not yet settled.'),
  sampled('rocketmq_consumer_lag_latency', GROUP, 'Milliseconds that the oldest message not yet settled has waited.'),
  sampled('rocketmq_consumer_inflight_messages', GROUP, 'Messages handed out and not yet settled.'),
  sampled('rocketmq_consumer_ready_messages', GROUP, 'Messages not yet handed out.'),
  sampled(
    'rocketmq_consumer_queueing_latency',
    GROUP,
    'Milliseconds that the oldest message not yet handed out has waited.',
  ),

  // --- transactions and delays
  counter('rocketmq_commit_messages_total', ['topic'], 'Transactional messages committed.'),
  counter('rocketmq_rollback_messages_total', ['topic'], 'Transactional messages rolled back.'),
  counter('fulmar_transaction_checks_total', ['topic'], 'Questions to producers about transactional messages.'),
  sampled('rocketmq_half_messages', ['topic'], 'Transactional messages without a decision.'),
  counter('rocketmq_timer_enqueue_total', ['topic'], 'Delayed messages taken.'),
  counter('rocketmq_timer_dequeue_total', ['topic'], 'Delayed messages that became visible.'),
  sampled('rocketmq_timing_messages', ['topic'], 'Delayed messages that wait for their time.'),

  // --- state
  sampled('rocketmq_topic_number', [], 'Topics.'),
  sampled('rocketmq_consumer_group_number', [], 'Consumer groups.'),
  sampled('rocketmq_broker_permission', [], 'What the broker takes: 6 reads and writes, 4 reads only.'),
  sampled('rocketmq_producer_connections', ['language', 'version', 'protocol_type'], 'Producers connected.'),
  sampled('rocketmq_consumer_connections', CONSUMER, 'Consumers connected.'),
  sampled('rocketmq_storage_size', STORE, 'Bytes of the log.'),
  sampled('rocketmq_storage_flush_behind_bytes', STORE, 'Bytes written and not yet on stable storage.'),
  sampled('rocketmq_storage_message_reserve_time', STORE, 'Milliseconds since the oldest message kept was stored.'),

  // --- replication
  sampled('fulmar_replication_master', [], '1 while this broker serves as the master of its set.'),
  sampled('fulmar_replication_epoch', [], 'The newest epoch of the set that this broker knows.'),
  sampled('fulmar_replication_in_sync', [], '1 while this broker is in the in-sync set and may become master.'),
  sampled('fulmar_replication_commit_position', [], 'Log position up to which messages are committed.'),
  sampled('fulmar_replication_in_sync_replicas', [], 'Size of the in-sync set; the master tells.'),
  sampled('fulmar_replication_degraded', [], 'Known replicas that are not in the in-sync set; the master tells.'),
  sampled('fulmar_replication_lag_bytes', ['replica'], 'Bytes of the log that a replica has not yet stored.'),
  counter(
    'fulmar_log_repairs_total',
    ['kind'],
    'Damaged records and index files that were fetched from another replica.',
  ),

  // --- services
  sampled('fulmar_nameserver_brokers', ['role'], 'Brokers registered at this NameServer.'),
  sampled('fulmar_nameserver_watchers', [], 'Streams on which this NameServer tells changes of routes.'),
  gauge('rocketmq_proxy_up', ['proxy_mode'], '1 while the proxy runs.'),

  // --- transport
  counter('fulmar_grpc_calls_total', ['service', 'method', 'status'], 'Calls that have ended, by gRPC status.'),
  histogram(
    'fulmar_grpc_call_seconds',
    ['service', 'method'],
    SECONDS,
    'Seconds from the first byte of a call to its end.',
  ),
  gauge('fulmar_grpc_connections', [], 'HTTP/2 connections.'),
  counter('fulmar_grpc_connections_refused_total', ['reason'], 'Connections that were closed before they were any.'),
  counter('fulmar_grpc_streams_dropped_total', ['reason'], 'Streams that were ended to keep memory in bounds.'),
  counter(
    'fulmar_telemetry_commands_dropped_total',
    [],
    'Commands for clients that do not read their Telemetry stream.',
  ),
];
