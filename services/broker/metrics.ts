// What of a broker's state is looked at when somebody collects metrics; counters are counted where things happen.
import type { Observer } from '@fulmar/core/ports.ts';
import type { Broker } from './broker.ts';

const STORE = { storage_type: 'local', storage_medium: 'disk' };
const WRITES_AND_READS = 6;
const READS = 4;

export async function sampleBroker(broker: Broker, observer: Observer): Promise<void> {
  const { logBytes, unflushedBytes, refusal } = broker.health();
  observer.observe('rocketmq_storage_size', STORE, logBytes);
  observer.observe('rocketmq_storage_flush_behind_bytes', STORE, unflushedBytes);
  observer.observe('rocketmq_broker_permission', {}, refusal === undefined ? WRITES_AND_READS : READS);
  observer.observe('rocketmq_topic_number', {}, broker.topicCount);
  observer.observe('rocketmq_consumer_group_number', {}, broker.groupCount);
  for (const { group, topic, readyMessages, inFlightMessages, lagMs } of await broker.lagSample()) {
    const labels = { consumer_group: group, topic };
    observer.observe('rocketmq_consumer_ready_messages', labels, readyMessages);
    observer.observe('rocketmq_consumer_inflight_messages', labels, inFlightMessages);
    observer.observe('rocketmq_consumer_lag_messages', labels, readyMessages + inFlightMessages);
    observer.observe('rocketmq_consumer_lag_latency', labels, lagMs);
  }
}
