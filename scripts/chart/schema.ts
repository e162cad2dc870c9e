// The schema of the chart's values: what may be set, and in which form. The settings of services come from their own
// tables, so that a value which a service would refuse is refused by helm already, with the same bounds.
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import type { SettingRow, SettingTable } from '@fulmar/core/config.ts';
import { NAMESERVER_SETTINGS } from '@fulmar/nameserver/config.ts';
import { PROXY_SETTINGS } from '@fulmar/proxy/config.ts';

type Schema = Readonly<Record<string, unknown>>;

/** Settings that the chart gives itself, because it knows better: addresses, names, files, who agrees through what. */
export const SET_BY_CHART: Readonly<Record<'nameserver' | 'broker' | 'proxy', readonly RegExp[]>> = {
  nameserver: [/^listen$/, /^http$/, /^internalTls/],
  broker: [
    /^(cluster|set|replica|dataDir|listen|advertise|nameservers|http|replicas|minInSync)$/,
    /^(replication|internalTls|coordination|master|etcd|kubernetes)/,
    // Decisions of a person about one replica and one start.
    /^(adoptLog|acceptLoss)$/,
  ],
  proxy: [/^(cluster|listen|advertise|nameservers|http|stateDir|workers)$/, /^(tls|internalTls)/],
};

const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const map: Schema = { type: 'object', additionalProperties: { type: 'string' } };
const anyObject: Schema = { type: 'object' };
const objects: Schema = { type: 'array', items: anyObject };
const texts: Schema = { type: 'array', items: text };
const name: Schema = { type: 'string', minLength: 1 };
const dnsName = (maxLength: number): Schema => ({
  type: 'string',
  pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
  maxLength,
});
const duration: Schema = { type: 'string', pattern: '^[0-9]+(ms|s|m|h|d)$' };
const whole = (minimum: number, maximum?: number): Schema => ({
  type: 'integer',
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
});
const oneOf = (...values: readonly string[]): Schema => ({ type: 'string', enum: values });
const listOf = (items: Schema): Schema => ({ type: 'array', items });

function object(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: 'object', additionalProperties: false, properties, ...(required.length > 0 ? { required } : {}) };
}

/** One row of a service's table, as a value of the chart. */
export function settingSchema(row: SettingRow): Schema {
  const about = { description: row.text };
  switch (row.type) {
    case 'switch':
      return { ...about, type: 'boolean' };
    case 'choice':
      return { ...about, enum: row.choices };
    case 'number':
      return { ...about, ...whole(row.min, row.max) };
    case 'duration':
      return { ...about, ...duration };
    case 'bytes':
      return { ...about, type: ['string', 'integer'], pattern: '^[0-9]+([KMGT]iB)?$' };
    case 'list':
      return { ...about, ...texts };
    case 'text':
    case 'address':
      return { ...about, ...text };
  }
}

function configSchema(service: keyof typeof SET_BY_CHART, table: SettingTable): Schema {
  const rows = Object.entries(table).filter(([key]) => !SET_BY_CHART[service].some((pattern) => pattern.test(key)));
  return object(Object.fromEntries(rows.map(([key, row]) => [key, settingSchema(row)])));
}

/** What pods of every role can be given. */
function role(config: Schema, more: Readonly<Record<string, Schema>>): Schema {
  const spread = object({
    topologyKey: name,
    maxSkew: whole(1),
    whenUnsatisfiable: oneOf('ScheduleAnyway', 'DoNotSchedule'),
  });
  return object({
    ...more,
    config,
    resources: anyObject,
    antiAffinity: oneOf('soft', 'hard', 'none'),
    topologySpread: listOf(spread),
    affinity: anyObject,
    nodeSelector: map,
    tolerations: objects,
    priorityClassName: text,
    podAnnotations: map,
    podLabels: map,
    extraEnv: objects,
    extraVolumes: objects,
    extraVolumeMounts: objects,
    podDisruptionBudget: object({ enabled: flag }),
  });
}

function brokers(): Schema {
  const config = configSchema('broker', BROKER_SETTINGS);
  const { min, max } = BROKER_SETTINGS.minInSync;
  const set = object(
    {
      // With the name of the release, the number of a pod and the dashes it has to stay below 63 letters.
      name: dnsName(20),
      replicas: whole(1, max),
      minInSync: whole(min + 1, max),
      config,
      resources: anyObject,
      nodeSelector: map,
      tolerations: objects,
    },
    ['name', 'replicas'],
  );
  return role(config, {
    sets: { ...listOf(set), minItems: 1 },
    persistence: object({
      enabled: flag,
      size: text,
      storageClass: text,
      accessModes: texts,
      annotations: map,
      whenDeleted: oneOf('Retain', 'Delete'),
      whenScaled: oneOf('Retain', 'Delete'),
    }),
    terminationGracePeriodSeconds: whole(20),
  });
}

function proxy(): Schema {
  return role(configSchema('proxy', PROXY_SETTINGS), {
    replicas: whole(0),
    workers: whole(PROXY_SETTINGS.workers.min, PROXY_SETTINGS.workers.max),
    advertise: texts,
    service: object({
      type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer'),
      port: whole(1, 65_535),
      nodePort: whole(0, 65_535),
      annotations: map,
      labels: map,
      loadBalancerClass: text,
      loadBalancerSourceRanges: texts,
      externalTrafficPolicy: oneOf('Cluster', 'Local'),
    }),
    ingress: object({ enabled: flag, className: text, annotations: map, hosts: texts, tlsSecret: text }),
    grpcRoute: object({ enabled: flag, parentRefs: objects, hostnames: texts }),
    autoscaling: object({
      enabled: flag,
      minReplicas: whole(1),
      maxReplicas: whole(1),
      targetCPUUtilizationPercentage: whole(1, 100),
    }),
    terminationGracePeriodSeconds: whole(40),
  });
}

function tls(): Schema {
  const common = { existingSecret: text, issuerRef: anyObject };
  return object({
    clients: object({ mode: oneOf('selfSigned', 'existingSecret', 'certManager'), ...common, dnsNames: texts }),
    internal: object({ mode: oneOf('none', 'selfSigned', 'existingSecret', 'certManager'), ...common }),
  });
}

function metrics(): Schema {
  const monitor = object({ enabled: flag, interval: duration, labels: map });
  return object({
    annotations: object({ enabled: flag }),
    podMonitor: monitor,
    serviceMonitor: monitor,
    prometheusRule: object({ enabled: flag, labels: map, runbookBaseUrl: text }),
    dashboards: object({ enabled: flag, namespace: text, label: name, labelValue: text, annotations: map }),
  });
}

export function valuesSchema(): Schema {
  const topic = object({ name, type: oneOf('normal', 'fifo', 'delay', 'transaction'), queues: whole(1, 1_024) }, [
    'name',
  ]);
  const group = object(
    {
      name,
      fifo: flag,
      maxAttempts: whole(1, 1_000),
      backoff: listOf(duration),
      consume: oneOf('shared', 'exclusive', 'broadcasting'),
      from: oneOf('latest', 'earliest'),
    },
    ['name'],
  );
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart fulmar',
    ...object({
      // helm puts this into the values of every chart.
      global: anyObject,
      nameOverride: text,
      fullnameOverride: text,
      clusterName: { type: 'string', pattern: '^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$', maxLength: 100 },
      clusterDomain: name,
      commonLabels: map,
      image: object({
        repository: name,
        tag: { type: 'string', not: { const: 'latest' } },
        digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
        pullPolicy: oneOf('IfNotPresent', 'Always', 'Never'),
        pullSecrets: objects,
      }),
      nameserver: role(configSchema('nameserver', NAMESERVER_SETTINGS), { replicas: whole(1) }),
      brokers: brokers(),
      proxy: proxy(),
      tls: tls(),
      topics: listOf(topic),
      groups: listOf(group),
      provisioning: object({ waitFor: duration, resources: anyObject }),
      metrics: metrics(),
      networkPolicy: object({ enabled: flag, clientsFrom: objects, metricsFrom: objects }),
      serviceAccount: object({ create: flag, name: text, annotations: map }),
      rbac: object({ create: flag }),
      extraObjects: { type: 'array', items: { type: ['object', 'string'] } },
    }),
  };
}
