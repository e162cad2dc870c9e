// What of the proxy is looked at when somebody collects metrics: who is connected, and what it knows of the cluster.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { OVERFLOW } from '@fulmar/runtime/metrics.ts';
import { observeBound } from '@fulmar/runtime/process-metrics.ts';
import { isConsumer, type Session } from './clients/sessions.ts';
import type { ClusterView } from './cluster/cluster-view.ts';

/** What official clients call themselves; anything else is one label value, because strangers choose it. */
const LANGUAGES = new Set(['JAVA', 'CPP', 'DOTNET', 'GO', 'RUST', 'PYTHON', 'PHP', 'HTTP', 'NODEJS', 'CLI']);

export function sampleClients(sessions: Iterable<Session>, observer: Observer): void {
  const producers = new Map<string, number>();
  const consumers = new Map<string, number>();
  let clients = 0;
  for (const session of sessions) {
    clients++;
    const { version, group } = session;
    const language = LANGUAGES.has(session.language) ? session.language : OVERFLOW;
    const counts = isConsumer(session) ? consumers : producers;
    const key = JSON.stringify(isConsumer(session) ? [language, version, group] : [language, version]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  for (const [key, count] of producers) {
    const [language, version] = JSON.parse(key) as [string, string];
    observer.observe('rocketmq_producer_connections', { language, version, protocol_type: 'grpc' }, count);
  }
  for (const [key, count] of consumers) {
    const [language, version, group] = JSON.parse(key) as [string, string, string];
    const labels = { language, version, protocol_type: 'grpc', consumer_group: group, consume_mode: 'pop' };
    observer.observe('rocketmq_consumer_connections', labels, count);
  }
  observer.observe('rocketmq_proxy_up', { proxy_mode: 'cluster' }, 1);
  observeBound(observer, 'proxy_clients', clients, LIMITS.clientSessions);
}

export function sampleWorkers(wanted: number, open: number, observer: Observer): void {
  observer.observe('fulmar_proxy_workers', { state: 'wanted' }, wanted);
  observer.observe('fulmar_proxy_workers', { state: 'open' }, open);
}

export function sampleCluster(
  cluster: Pick<ClusterView, 'connected' | 'brokers' | 'master'>,
  observer: Observer,
): void {
  const sets = cluster.brokers();
  const reachable = sets.filter(({ set }) => cluster.master(set)?.reachable).length;
  observer.observe('fulmar_proxy_name_server_connected', {}, Number(cluster.connected));
  observer.observe('fulmar_proxy_masters', { state: 'reachable' }, reachable);
  observer.observe('fulmar_proxy_masters', { state: 'unreachable' }, sets.length - reachable);
}
