// Every metric of every service: one row each. Names that begin with `rocketmq_` are those of the official server, as
// its exporter writes them (the unit is appended to those that have one), with its labels, so that its dashboards work;
// our own begin with `fulmar_`.

export interface MetricRow {
  readonly name: string;
  /** A gauge is what was observed last; a sampled one is emptied before each collection and filled by its sampler. */
  readonly type: 'counter' | 'gauge' | 'sampled' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds; histograms only. */
  readonly buckets?: readonly number[];
  /** Sampled metrics only: what the series stands for that takes those beyond the bound. Their sum if absent. */
  readonly together?: 'max';
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
const longest = (name: string, labels: readonly string[], help: string): MetricRow => ({
  ...sampled(name, labels, help),
  together: 'max',
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
const SET = ['set'];
const RPC = ['protocol_type', 'request_code', 'response_code', 'is_long_polling', 'result'];
const CONSUMER = ['language', 'version', 'protocol_type', 'consumer_group', 'consume_mode', 'is_system'];

export const METRICS: readonly MetricRow[] = [
  // --- traffic
  counter('rocketmq_messages_in_total', TOPIC, 'Messages stored.'),
  counter('rocketmq_throughput_in_total', TOPIC, 'Bytes of bodies stored.'),
  histogram('rocketmq_message_size', TOPIC, BYTES, 'Bytes of a body that was sent.'),
  counter(
    'rocketmq_messages_out_total',
    GROUP,
    'Messages handed out; with is_retry="true" for the second time or more.',
  ),
  counter('rocketmq_throughput_out_total', GROUP, 'Bytes of bodies handed out.'),
  counter('rocketmq_send_to_dlq_messages_total', GROUP, 'Messages that went to a dead-letter topic.'),
  counter('fulmar_redriven_letters_total', GROUP, 'Dead letters that their group got again because somebody asked.'),
  histogram('rocketmq_rpc_latency_milliseconds', RPC, MILLISECONDS, 'Milliseconds from a request to its answer.'),
  counter(
    'fulmar_requests_refused_total',
    ['method', 'reason'],
    'Requests of clients that were answered with an error, by its name.',
  ),

  // --- consumers
  sampled('rocketmq_consumer_lag_messages', GROUP, 'Messages not yet settled.'),
  longest(
    'rocketmq_consumer_lag_latency_milliseconds',
    GROUP,
    'Milliseconds that the oldest message not yet settled has waited.',
  ),
  sampled('rocketmq_consumer_inflight_messages', GROUP, 'Messages handed out and not yet settled.'),
  sampled('rocketmq_consumer_ready_messages', GROUP, 'Messages not yet handed out.'),
  longest(
    'rocketmq_consumer_queueing_latency_milliseconds',
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
  histogram(
    'rocketmq_delay_message_latency_milliseconds',
    ['topic'],
    MILLISECONDS,
    'Milliseconds from the time of a delayed message to the moment at which it was visible.',
  ),
  counter('fulmar_scheduled_messages_total', ['topic'], 'Recurring messages sent.'),
  sampled('rocketmq_timing_messages', ['topic'], 'Delayed messages that wait for their time.'),

  // --- state
  sampled('rocketmq_topic_number', [], 'Topics.'),
  sampled('rocketmq_consumer_group_number', [], 'Consumer groups.'),
  sampled('rocketmq_broker_permission', [], 'What the broker takes: 6 reads and writes, 4 reads only.'),
  sampled('rocketmq_producer_connections', ['language', 'version', 'protocol_type'], 'Producers connected.'),
  sampled('rocketmq_consumer_connections', CONSUMER, 'Consumers connected.'),
  sampled('rocketmq_storage_size_bytes', STORE, 'Bytes of the log.'),
  sampled('rocketmq_storage_flush_behind_bytes', STORE, 'Bytes written and not yet on stable storage.'),
  sampled('rocketmq_storage_dispatch_behind_bytes', STORE, 'Bytes of the log that consumers cannot see yet.'),

  // --- disk
  histogram('fulmar_log_flush_seconds', SET, SECONDS, 'Seconds until a batch of records was on stable storage.'),
  counter(
    'fulmar_log_repairs_total',
    ['set', 'kind'],
    'Damaged records and index files that were fetched from another replica.',
  ),
  sampled('fulmar_disk_free_bytes', SET, 'Bytes free on the disk of the log.'),
  sampled('fulmar_disk_size_bytes', SET, 'Size of the disk of the log.'),
  sampled('fulmar_disk_reserve_bytes', SET, 'Free bytes below which messages are refused.'),
  sampled(
    'fulmar_writes_refused',
    ['set', 'reason'],
    '1 while the master takes no messages for this reason: disk, backlog, replicas.',
  ),

  // --- replication
  sampled('fulmar_replication_master', SET, '1 while this broker serves as the master of its set.'),
  sampled('fulmar_replication_epoch', SET, 'The newest epoch of the set that this broker knows.'),
  counter(
    'fulmar_replication_leader_changes_total',
    SET,
    'Changes of the leader of the set that this broker has seen.',
  ),
  sampled('fulmar_replication_in_sync', SET, '1 while this broker is in the in-sync set and may become master.'),
  sampled('fulmar_replication_commit_position', SET, 'Log position up to which messages are committed.'),
  sampled('fulmar_replication_commit_lag_bytes', SET, 'Bytes of the log of this broker that are not committed yet.'),
  sampled('fulmar_replication_in_sync_replicas', SET, 'Size of the in-sync set; the master tells.'),
  sampled('fulmar_replication_in_sync_minimum', SET, 'What the in-sync set must not fall below; the master tells.'),
  sampled('fulmar_replication_degraded', SET, 'Known replicas that are not in the in-sync set; the master tells.'),
  sampled(
    'fulmar_replication_lag_bytes',
    ['set', 'replica'],
    'Bytes of the log that a replica has not yet stored; the master tells.',
  ),

  // --- services
  sampled('fulmar_nameserver_brokers', ['role'], 'Brokers registered at this NameServer.'),
  sampled('fulmar_nameserver_watchers', [], 'Streams on which this NameServer tells changes of routes.'),
  gauge('rocketmq_proxy_up', ['proxy_mode'], '1 while the proxy runs.'),
  sampled('fulmar_proxy_name_server_connected', [], '1 while a NameServer tells this proxy the routes.'),
  sampled('fulmar_proxy_masters', ['state'], 'Masters of broker sets that this proxy knows: reachable or unreachable.'),

  sampled('fulmar_proxy_workers', ['state'], 'Workers of a proxy that has several: wanted, and open for connections.'),
  counter('fulmar_proxy_worker_restarts_total', [], 'Workers of a proxy that were started again.'),

  // --- process
  gauge('fulmar_build_info', ['version', 'node'], 'Always 1; the labels say what runs.'),
  sampled('fulmar_memory_limit_bytes', [], 'Memory of the container, or of the machine; of a worker its share.'),
  sampled('fulmar_heap_limit_bytes', [], 'Size up to which the JavaScript heap may grow.'),
  sampled('fulmar_bound_used', ['bound'], 'What is in use of something that has a bound; its name ends with the unit.'),
  sampled('fulmar_bound_limit', ['bound'], 'The bound. At the bound, requests are refused.'),

  // --- transport
  counter('fulmar_grpc_calls_total', ['service', 'method', 'status'], 'Calls that have ended, by gRPC status.'),
  histogram(
    'fulmar_grpc_call_seconds',
    ['service', 'method'],
    SECONDS,
    'Seconds from the first byte of a call to its end.',
  ),
  gauge('fulmar_grpc_connections', ['service'], 'HTTP/2 connections of the port of this service.'),
  counter('fulmar_grpc_connections_refused_total', ['reason'], 'Connections that were closed before they were any.'),
  counter('fulmar_grpc_streams_dropped_total', ['reason'], 'Streams that were ended to keep memory in bounds.'),
  counter(
    'fulmar_telemetry_commands_dropped_total',
    [],
    'Commands for clients that do not read their Telemetry stream.',
  ),
];

/** What the metrics library tells of each process, as far as our dashboards and alerts use it. */
export const PROCESS_METRICS: readonly Pick<MetricRow, 'name' | 'type' | 'help'>[] = [
  { name: 'process_start_time_seconds', type: 'gauge', help: 'When the process began, in seconds since 1970.' },
  { name: 'process_cpu_seconds_total', type: 'counter', help: 'Seconds of processor time.' },
  { name: 'process_resident_memory_bytes', type: 'gauge', help: 'Memory of the process as the kernel counts it.' },
  { name: 'process_open_fds', type: 'gauge', help: 'Open files and sockets.' },
  { name: 'nodejs_heap_size_used_bytes', type: 'gauge', help: 'JavaScript objects.' },
  { name: 'nodejs_external_memory_bytes', type: 'gauge', help: 'Buffers outside the JavaScript heap.' },
  {
    name: 'nodejs_eventloop_lag_p99_seconds',
    type: 'gauge',
    help: '99th percentile of the time between two ticks of the event loop; 0.1 when nothing holds it up.',
  },
];
