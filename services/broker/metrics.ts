// What of a broker's state is looked at when somebody collects metrics; counters are counted where things happen.
import type { Observer } from '@fulmar/core/ports.ts';
import type { BrokerNode } from './node.ts';

const STORE = { storage_type: 'local', storage_medium: 'disk' };
const WRITES_AND_READS = 6;
const READS = 4;

export async function sampleBroker(broker: BrokerNode, observer: Observer): Promise<void> {
  const { logBytes, unflushedBytes, refusal } = broker.health();
  observer.observe('rocketmq_storage_size', STORE, logBytes);
  observer.observe('rocketmq_storage_flush_behind_bytes', STORE, unflushedBytes);
  observer.observe('rocketmq_broker_permission', {}, refusal === undefined ? WRITES_AND_READS : READS);
  sampleReplication(broker, observer);
  observer.observe('rocketmq_topic_number', {}, broker.topicCount);
  observer.observe('rocketmq_consumer_group_number', {}, broker.groupCount);
  for (const [topic, count] of broker.halfMessages()) observer.observe('rocketmq_half_messages', { topic }, count);
  for (const { group, topic, readyMessages, inFlightMessages, lagMs } of await broker.lagSample()) {
    const labels = { consumer_group: group, topic };
    observer.observe('rocketmq_consumer_ready_messages', labels, readyMessages);
    observer.observe('rocketmq_consumer_inflight_messages', labels, inFlightMessages);
    observer.observe('rocketmq_consumer_lag_messages', labels, readyMessages + inFlightMessages);
    observer.observe('rocketmq_consumer_lag_latency', labels, lagMs);
  }
}

function sampleReplication(broker: BrokerNode, observer: Observer): void {
  const standing = broker.standing();
  if (standing === undefined) return;
  observer.observe('fulmar_replication_master', {}, broker.role === 'master' ? 1 : 0);
  observer.observe('fulmar_replication_epoch', {}, standing.epoch);
  observer.observe('fulmar_replication_in_sync', {}, standing.isInSync ? 1 : 0);
  observer.observe('fulmar_replication_commit_position', {}, standing.commitPosition);
  if (broker.role !== 'master') return;
  const missing = Math.max(0, standing.members.length - standing.inSync.length);
  observer.observe('fulmar_replication_in_sync_replicas', {}, standing.inSync.length);
  observer.observe('fulmar_replication_degraded', {}, missing);
  for (const { replica, lagBytes } of standing.followers) {
    observer.observe('fulmar_replication_lag_bytes', { replica }, lagBytes);
  }
}
