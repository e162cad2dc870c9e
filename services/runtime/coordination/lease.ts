// The set record as a Lease of coordination.k8s.io/v1. What decides is the annotation; the fields of the Lease repeat
// for `kubectl get lease` who leads, how often that has changed and when it was last renewed.
import type { Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { decodeSetRecord, encodeSetRecord, SetRecordError } from '@fulmar/core/set-record.ts';

const RECORD_ANNOTATION = 'fulmar/set-record';
const INT32_MAX = 2 ** 31 - 1;

/** A dot stands between the names because neither may have one: no two sets share a Lease. */
export function leaseName(cluster: string, set: string): string {
  for (const name of [cluster, set]) {
    if (/^[a-z0-9]([-a-z0-9]{0,98}[a-z0-9])?$/.test(name)) continue;
    throw new Error(
      `"${name}" cannot be part of the name of a Lease. Name cluster and set with at most 100 lower-case letters, ` +
        'digits and "-", with a letter or digit at both ends.',
    );
  }
  return `fulmar.${cluster}.${set}`;
}

export interface LeaseDetails {
  readonly name: string;
  readonly namespace: string;
  /** Undefined for a Lease that is made. */
  readonly resourceVersion: string | undefined;
  readonly durationSeconds: number;
  readonly nowMs: number;
}

export function leaseOf(record: SetRecord, details: LeaseDetails): object {
  const { name, namespace, resourceVersion, durationSeconds, nowMs } = details;
  const leader = record.members.find(({ storeUid }) => storeUid === record.leader)?.replica ?? record.leader;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name,
      namespace,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      annotations: { [RECORD_ANNOTATION]: encodeSetRecord(record) },
      labels: { 'app.kubernetes.io/managed-by': 'fulmar' },
    },
    spec: {
      ...(leader === '' ? {} : { holderIdentity: leader }),
      leaseTransitions: Math.min(record.epoch, INT32_MAX),
      leaseDurationSeconds: durationSeconds,
      // Kubernetes wants microseconds.
      renewTime: new Date(nowMs).toISOString().replace('Z', '000Z'),
    },
  };
}

/** Throws for what is no Lease of ours. */
export function observedIn(lease: unknown): Observed {
  const { annotations } = metadataOf(lease);
  const text = annotations?.[RECORD_ANNOTATION];
  if (typeof text !== 'string') throw new SetRecordError(`the Lease has no annotation ${RECORD_ANNOTATION}`);
  return { record: decodeSetRecord(text), version: resourceVersionIn(lease) };
}

export function resourceVersionIn(object: unknown): string {
  const { resourceVersion } = metadataOf(object);
  if (typeof resourceVersion === 'string' && resourceVersion !== '') return resourceVersion;
  throw new SetRecordError('an object of Kubernetes has no resourceVersion');
}

interface Metadata {
  readonly resourceVersion?: unknown;
  readonly annotations?: Readonly<Record<string, unknown>> | null;
}

function metadataOf(object: unknown): Metadata {
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return {};
  const { metadata } = object;
  return typeof metadata === 'object' && metadata !== null ? metadata : {};
}
