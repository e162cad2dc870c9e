// For every alert a course of things in which it fires, with what it then says, and one that looks similar and is no
// reason to wake anybody. Values are in the notation of promtool: `0+5x10` is 0 and ten steps of 5, one every 30 s.

export interface AlertCase {
  readonly alert: string;
  /** Minutes after which is looked. */
  readonly afterMinutes: number;
  readonly fires: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
  readonly quiet: Readonly<Record<string, string>>;
}

const CRITICAL = { severity: 'critical' };
const WARNING = { severity: 'warning' };
const SET = { cluster: 'c', set: 's' };
const GROUP = { cluster: 'c', topic: 't', consumer_group: 'g' };
const BROKER = { cluster: 'c', node_type: 'broker', node_id: 's/r0' };
const PROXY = { cluster: 'c', node_type: 'proxy', node_id: 'p' };

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** A series as Prometheus writes it. */
function series(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${pairs.join(',')}}`;
}

const onBroker = (name: string, more: Readonly<Record<string, string>> = {}) =>
  series(name, { ...BROKER, set: 's', ...more });
const onSlave = (name: string) => series(name, { ...BROKER, node_id: 's/r1', set: 's' });
const onProxy = (name: string, more: Readonly<Record<string, string>> = {}) => series(name, { ...PROXY, ...more });
const ofGroup = (name: string) => series(name, { ...BROKER, ...GROUP, is_retry: 'false' });
const isMaster = 'fulmar_replication_master';

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'FulmarSetWithoutMaster',
    afterMinutes: 5,
    fires: { [onBroker(isMaster)]: '1x6 0x10', [onSlave(isMaster)]: '0x16' },
    labels: { ...SET, ...CRITICAL },
    summary: 'The broker set s of c has no master.',
    // A fail-over: nobody leads for one scrape.
    quiet: { [onBroker(isMaster)]: '1x9 0x6', [onSlave(isMaster)]: '0x10 1x6' },
  },
  {
    alert: 'FulmarSetWithoutMaster',
    afterMinutes: 20,
    // All brokers of the set are gone.
    fires: { [onBroker(isMaster)]: '1x10 stale' },
    labels: { ...SET, ...CRITICAL },
    summary: 'The broker set s of c has no master.',
    // One of two is gone, and the other leads.
    quiet: { [onBroker(isMaster)]: '1x10 stale', [onSlave(isMaster)]: '0x10 1x40' },
  },
  {
    alert: 'FulmarSetBelowMinimum',
    afterMinutes: 5,
    fires: { [onBroker('fulmar_writes_refused', { reason: 'replicas' })]: '0x5 1x10' },
    labels: { ...SET, ...CRITICAL },
    summary: 'The broker set s takes no messages, because too few replicas are in sync.',
    quiet: {
      [onBroker('fulmar_writes_refused', { reason: 'replicas' })]: '0x10',
      [onBroker('fulmar_writes_refused', { reason: 'disk' })]: '1x10',
    },
  },
  {
    alert: 'FulmarSetDegraded',
    afterMinutes: 8,
    fires: { [onBroker('fulmar_replication_degraded')]: '0x2 1x20' },
    labels: { ...SET, ...WARNING },
    summary: 'In the broker set s 1 replicas are not in sync.',
    // A restart of one replica.
    quiet: { [onBroker('fulmar_replication_degraded')]: '0x6 1x4 0x10' },
  },
  {
    alert: 'FulmarReplicationLag',
    afterMinutes: 5,
    fires: { [onBroker('fulmar_replication_lag_bytes', { replica: 'r1' })]: `${128 * MIB}x10` },
    labels: { ...SET, replica: 'r1', ...WARNING },
    summary: 'The replica s/r1 is 128MiB behind its master.',
    quiet: { [onBroker('fulmar_replication_lag_bytes', { replica: 'r1' })]: `${128 * MIB}x8 ${MIB}x10` },
  },
  {
    alert: 'FulmarLeaderChangesOften',
    afterMinutes: 60,
    fires: {
      [onBroker('fulmar_replication_leader_changes_total')]: '0+1x12 12x108',
      [onSlave('fulmar_replication_leader_changes_total')]: '0x120',
    },
    labels: { ...SET, ...WARNING },
    summary: 'The broker set s has changed its master 12 times in an hour.',
    // Three replicas are upgraded one after the other.
    quiet: { [onBroker('fulmar_replication_leader_changes_total')]: '0x10 2x10 4x10 6x90' },
  },
  {
    alert: 'FulmarDiskNearlyFull',
    afterMinutes: 10,
    fires: {
      [onBroker('fulmar_disk_free_bytes')]: `${5 * GIB}x20`,
      [onBroker('fulmar_disk_size_bytes')]: `${100 * GIB}x20`,
      [onBroker('fulmar_disk_reserve_bytes')]: `${256 * MIB}x20`,
    },
    labels: { ...BROKER, set: 's', ...WARNING },
    summary: 'The disk of broker s/r0 has 5GiB left.',
    quiet: {
      [onBroker('fulmar_disk_free_bytes')]: `${50 * GIB}x20`,
      [onBroker('fulmar_disk_size_bytes')]: `${100 * GIB}x20`,
      [onBroker('fulmar_disk_reserve_bytes')]: `${256 * MIB}x20`,
    },
  },
  {
    alert: 'FulmarDiskNearlyFull',
    afterMinutes: 10,
    // A small disk: a fifth is free, and that is soon the reserve.
    fires: {
      [onBroker('fulmar_disk_free_bytes')]: `${400 * MIB}x20`,
      [onBroker('fulmar_disk_size_bytes')]: `${2 * GIB}x20`,
      [onBroker('fulmar_disk_reserve_bytes')]: `${256 * MIB}x20`,
    },
    labels: { ...BROKER, set: 's', ...WARNING },
    summary: 'The disk of broker s/r0 has 400MiB left.',
    quiet: {
      [onBroker('fulmar_disk_free_bytes')]: `${600 * MIB}x20`,
      [onBroker('fulmar_disk_size_bytes')]: `${2 * GIB}x20`,
      [onBroker('fulmar_disk_reserve_bytes')]: `${256 * MIB}x20`,
    },
  },
  {
    alert: 'FulmarWritesRefused',
    afterMinutes: 5,
    fires: { [onBroker('fulmar_writes_refused', { reason: 'disk' })]: '0x5 1x10' },
    labels: { ...SET, reason: 'disk', ...CRITICAL },
    summary: 'The broker set s takes no messages (disk).',
    // The disk was behind for one scrape.
    quiet: { [onBroker('fulmar_writes_refused', { reason: 'backlog' })]: '0x9 1x0 0x10' },
  },
  {
    alert: 'FulmarLogDamageRepaired',
    afterMinutes: 30,
    fires: { [onBroker('fulmar_log_repairs_total', { kind: 'record' })]: '0x20 1x40' },
    labels: { cluster: 'c', set: 's', node_id: 's/r0', ...WARNING },
    summary: 'The disk of broker s/r0 has lost data, which was fetched from another replica.',
    // Counted before, and then the process was restarted.
    quiet: { [onBroker('fulmar_log_repairs_total', { kind: 'record' })]: '0x60' },
  },
  {
    alert: 'FulmarFlushSlow',
    afterMinutes: 15,
    fires: {
      [onBroker('fulmar_log_flush_seconds_bucket', { le: '0.01' })]: '0+50x30',
      [onBroker('fulmar_log_flush_seconds_bucket', { le: '1' })]: '0+100x30',
      [onBroker('fulmar_log_flush_seconds_bucket', { le: '+Inf' })]: '0+100x30',
    },
    labels: { cluster: 'c', set: 's', node_id: 's/r0', ...WARNING },
    summary: 'The disk of broker s/r0 needs 980.2ms for a flush.',
    quiet: {
      [onBroker('fulmar_log_flush_seconds_bucket', { le: '0.01' })]: '0+100x30',
      [onBroker('fulmar_log_flush_seconds_bucket', { le: '1' })]: '0+100x30',
      [onBroker('fulmar_log_flush_seconds_bucket', { le: '+Inf' })]: '0+100x30',
    },
  },
  {
    alert: 'FulmarGroupLagGrows',
    afterMinutes: 30,
    fires: { [ofGroup('rocketmq_consumer_lag_latency_milliseconds')]: '0+30000x60' },
    labels: { ...GROUP, ...WARNING },
    summary: 'The group g falls behind in the topic t.',
    // It was an hour behind and catches up.
    quiet: { [ofGroup('rocketmq_consumer_lag_latency_milliseconds')]: '3600000-30000x60' },
  },
  {
    alert: 'FulmarDeadLetters',
    afterMinutes: 5,
    // The first one: the series was not there before.
    fires: { [ofGroup('rocketmq_send_to_dlq_messages_total')]: '_x4 1x20' },
    labels: { ...GROUP, ...WARNING },
    summary: 'The group g has given up messages of the topic t.',
    quiet: { [ofGroup('rocketmq_messages_out_total')]: '0+100x30' },
  },
  {
    alert: 'FulmarDeadLetters',
    afterMinutes: 40,
    fires: { [ofGroup('rocketmq_send_to_dlq_messages_total')]: '7x70 8x20' },
    labels: { ...GROUP, ...WARNING },
    summary: 'The group g has given up messages of the topic t.',
    // Long ago.
    quiet: { [ofGroup('rocketmq_send_to_dlq_messages_total')]: '7x20 8x70' },
  },
  {
    alert: 'FulmarNameServerSeesNoBrokers',
    afterMinutes: 5,
    fires: {
      [series('fulmar_nameserver_brokers', { node_type: 'nameserver', node_id: 'n', role: 'master' })]: '1x3 0x10',
      [series('fulmar_nameserver_brokers', { node_type: 'nameserver', node_id: 'n', role: 'slave' })]: '0x13',
    },
    labels: { node_type: 'nameserver', node_id: 'n', ...CRITICAL },
    summary: 'No broker is registered at the NameServer n.',
    // It has just started.
    quiet: {
      [series('fulmar_nameserver_brokers', { node_type: 'nameserver', node_id: 'n', role: 'master' })]: '_x8 0x0 1x10',
      [series('fulmar_nameserver_brokers', { node_type: 'nameserver', node_id: 'n', role: 'slave' })]: '_x8 0x0 2x10',
    },
  },
  {
    alert: 'FulmarProxyWithoutRoutes',
    afterMinutes: 5,
    fires: {
      [onProxy('fulmar_proxy_masters', { state: 'reachable' })]: '1x3 0x10',
      [onProxy('fulmar_proxy_masters', { state: 'unreachable' })]: '0x3 1x10',
    },
    labels: { ...PROXY, state: 'reachable', ...CRITICAL },
    summary: 'The Proxy p reaches no broker.',
    // One of two sets is gone; others tell of that.
    quiet: {
      [onProxy('fulmar_proxy_masters', { state: 'reachable' })]: '2x3 1x10',
      [onProxy('fulmar_proxy_masters', { state: 'unreachable' })]: '0x3 1x10',
    },
  },
  {
    alert: 'FulmarProxyWithoutNameServer',
    afterMinutes: 5,
    fires: { [onProxy('fulmar_proxy_name_server_connected')]: '1x2 0x10' },
    labels: { ...PROXY, ...WARNING },
    summary: 'The Proxy p reaches no NameServer.',
    quiet: { [onProxy('fulmar_proxy_name_server_connected')]: '1x6 0x1 1x10' },
  },
  {
    alert: 'FulmarProxyWorkersMissing',
    afterMinutes: 5,
    fires: {
      [onProxy('fulmar_proxy_workers', { state: 'wanted' })]: '4x12',
      [onProxy('fulmar_proxy_workers', { state: 'open' })]: '4x2 3x10',
    },
    labels: { ...PROXY, ...WARNING },
    summary: 'The Proxy p has only 3 of its workers.',
    // A worker that is started again.
    quiet: {
      [onProxy('fulmar_proxy_workers', { state: 'wanted' })]: '4x12',
      [onProxy('fulmar_proxy_workers', { state: 'open' })]: '4x6 3x1 4x5',
    },
  },
  {
    alert: 'FulmarRequestsRefused',
    afterMinutes: 15,
    fires: {
      [onProxy('fulmar_requests_refused_total', { method: 'SendMessage', reason: 'PROXY_TIMEOUT' })]: '0+30x40',
    },
    labels: { cluster: 'c', reason: 'PROXY_TIMEOUT', ...WARNING },
    summary: 'The cluster c refuses requests of clients with PROXY_TIMEOUT.',
    // A client that asks for what does not exist, and a short fail-over.
    quiet: {
      [onProxy('fulmar_requests_refused_total', { method: 'SendMessage', reason: 'TOPIC_NOT_FOUND' })]: '0+30x40',
      [onProxy('fulmar_requests_refused_total', { method: 'SendMessage', reason: 'HA_NOT_AVAILABLE' })]: '0x22 20x30',
    },
  },
  {
    alert: 'FulmarEventLoopBlocked',
    afterMinutes: 8,
    fires: { [series('nodejs_eventloop_lag_p99_seconds', BROKER)]: '0.75x20' },
    labels: { ...BROKER, ...WARNING },
    summary: 'The broker s/r0 is held up for 750ms.',
    // Another program on Node.js, and one of ours with a short pause.
    quiet: {
      'nodejs_eventloop_lag_p99_seconds{job="web-shop"}': '3x20',
      [series('nodejs_eventloop_lag_p99_seconds', BROKER)]: '0.01x10 0.9x1 0.01x10',
    },
  },
  {
    alert: 'FulmarMemoryNearLimit',
    afterMinutes: 8,
    fires: {
      [series('process_resident_memory_bytes', BROKER)]: `${243 * MIB}x20`,
      [series('fulmar_memory_limit_bytes', BROKER)]: `${256 * MIB}x20`,
    },
    labels: { ...BROKER, ...WARNING },
    summary: 'The broker s/r0 uses 94.92% of its memory.',
    quiet: {
      [series('process_resident_memory_bytes', BROKER)]: `${200 * MIB}x20`,
      [series('fulmar_memory_limit_bytes', BROKER)]: `${256 * MIB}x20`,
      'process_resident_memory_bytes{job="web-shop"}': `${900 * MIB}x20`,
    },
  },
  {
    alert: 'FulmarMemoryNearLimit',
    afterMinutes: 8,
    fires: {
      [series('nodejs_heap_size_used_bytes', PROXY)]: `${95 * MIB}x20`,
      [series('fulmar_heap_limit_bytes', PROXY)]: `${100 * MIB}x20`,
    },
    labels: { ...PROXY, ...WARNING },
    summary: 'The proxy p uses 95% of its memory.',
    quiet: {
      [series('nodejs_heap_size_used_bytes', PROXY)]: `${60 * MIB}x20`,
      [series('fulmar_heap_limit_bytes', PROXY)]: `${100 * MIB}x20`,
    },
  },
  {
    alert: 'FulmarBoundNearlyReached',
    afterMinutes: 8,
    fires: {
      [onProxy('fulmar_bound_used', { bound: 'proxy_connections' })]: '9000x20',
      [onProxy('fulmar_bound_limit', { bound: 'proxy_connections' })]: '10000x20',
    },
    labels: { ...PROXY, bound: 'proxy_connections', ...WARNING },
    summary: 'Of proxy_connections p uses 90%.',
    quiet: {
      [onProxy('fulmar_bound_used', { bound: 'proxy_connections' })]: '100x20',
      [onProxy('fulmar_bound_limit', { bound: 'proxy_connections' })]: '10000x20',
    },
  },
  {
    alert: 'FulmarRestartsOften',
    afterMinutes: 30,
    fires: { [series('process_start_time_seconds', BROKER)]: '100x10 200x10 300x10 400x10 500x20' },
    labels: { ...BROKER, ...WARNING },
    summary: 'The broker s/r0 has started 4 times in an hour.',
    // An upgrade, and its way back.
    quiet: { [series('process_start_time_seconds', BROKER)]: '100x10 200x10 300x60' },
  },
];
