// What of a broker's state is looked at when somebody collects metrics; counters are counted where things happen.
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { observeBound } from '@fulmar/runtime/process-metrics.ts';
import type { BrokerNode } from './node.ts';
import type { NodeHealth } from './node-health.ts';

const STORE = { storage_type: 'local', storage_medium: 'disk' };
const WRITES_AND_READS = 6;
const READS = 4;

export async function sampleBroker(
  broker: BrokerNode,
  set: string,
  bounds: MemoryBounds,
  observer: Observer,
): Promise<void> {
  const health = broker.health();
  observer.observe('rocketmq_storage_size_bytes', STORE, health.logBytes);
  observer.observe('rocketmq_storage_flush_behind_bytes', STORE, health.unflushedBytes);
  observer.observe('rocketmq_storage_dispatch_behind_bytes', STORE, health.uncommittedBytes);
  observer.observe('rocketmq_broker_permission', {}, health.refusal === undefined ? WRITES_AND_READS : READS);
  sampleDisk(health, set, observer);
  sampleLoad(health, set, bounds, observer);
  sampleReplication(broker, health, set, observer);
  observer.observe('rocketmq_topic_number', {}, broker.topicCount);
  observer.observe('rocketmq_consumer_group_number', {}, broker.groupCount);
  for (const [topic, count] of broker.halfMessages()) observer.observe('rocketmq_half_messages', { topic }, count);
  observeBound(observer, 'broker_topics', broker.topicCount, bounds.topics);
  observeBound(observer, 'broker_groups', broker.groupCount, bounds.groups);
  for (const { topic, messages } of broker.delayedSample()) {
    observer.observe('rocketmq_timing_messages', { topic }, messages);
  }
  await sampleLags(broker, observer);
}

function sampleDisk({ diskSpace, reserveBytes }: NodeHealth, set: string, observer: Observer): void {
  if (diskSpace === undefined) return;
  observer.observe('fulmar_disk_free_bytes', { set }, diskSpace.freeBytes);
  observer.observe('fulmar_disk_size_bytes', { set }, diskSpace.totalBytes);
  observer.observe('fulmar_disk_reserve_bytes', { set }, reserveBytes);
}

function sampleLoad({ load }: NodeHealth, set: string, bounds: MemoryBounds, observer: Observer): void {
  if (load === undefined) return;
  observeBound(observer, 'broker_leases', load.leases, bounds.leasesTotal);
  observeBound(observer, 'broker_open_transactions', load.openTransactions, bounds.openTransactions);
  observeBound(observer, 'broker_uncommitted_bytes', load.uncommittedBytes, bounds.pendingAppendBytes);
  for (const [reason, refuses] of Object.entries(load.refuses)) {
    observer.observe('fulmar_writes_refused', { set, reason }, Number(refuses));
  }
}

function sampleReplication(broker: BrokerNode, health: NodeHealth, set: string, observer: Observer): void {
  const standing = broker.standing();
  if (standing === undefined) return;
  const observe = (name: string, value: number): void => observer.observe(name, { set }, value);
  observe('fulmar_replication_master', Number(broker.role === 'master'));
  observe('fulmar_replication_epoch', standing.epoch);
  observe('fulmar_replication_in_sync', Number(standing.isInSync));
  observe('fulmar_replication_commit_position', standing.commitPosition);
  observe('fulmar_replication_commit_lag_bytes', health.uncommittedBytes);
  if (broker.role !== 'master') return;
  observe('fulmar_replication_in_sync_replicas', standing.inSync.length);
  observe('fulmar_replication_in_sync_minimum', standing.minInSync);
  observe('fulmar_replication_degraded', Math.max(0, standing.members.length - standing.inSync.length));
  for (const { replica, lagBytes } of standing.followers) {
    observer.observe('fulmar_replication_lag_bytes', { set, replica }, lagBytes);
  }
}

async function sampleLags(broker: BrokerNode, observer: Observer): Promise<void> {
  for (const { group, topic, readyMessages, inFlightMessages, waiting } of await broker.lagSample()) {
    const labels = { consumer_group: group, topic };
    observer.observe('rocketmq_consumer_ready_messages', labels, readyMessages);
    observer.observe('rocketmq_consumer_inflight_messages', labels, inFlightMessages);
    observer.observe('rocketmq_consumer_lag_messages', labels, readyMessages + inFlightMessages);
    if (waiting === undefined) continue;
    observer.observe('rocketmq_consumer_lag_latency_milliseconds', labels, waiting.lagMs);
    observer.observe('rocketmq_consumer_queueing_latency_milliseconds', labels, waiting.queueingMs);
  }
}
