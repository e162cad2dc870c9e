// Coordination of a broker set as its settings say. Nothing is asked yet when this resolves: a store that is away makes
// calls fail, not the start.
import { readFile } from 'node:fs/promises';
import type { Coordination, SetRecord } from '@fulmar/core/coordination.ts';
import type { GrpcClientOptions } from '../grpc-client.ts';

export interface CoordinationOptions {
  readonly kind: 'static' | 'file' | 'etcd' | 'kubernetes';
  readonly cluster: string;
  readonly set: string;
  readonly replica: string;
  /** All replicas of the set and the one that leads: for `static`. None named means this replica alone. */
  readonly replicas: readonly string[];
  readonly master: string;
  readonly dataDir: string;
  /** How a static slave asks its master. */
  readonly ask: () => Promise<SetRecord | undefined>;
  /** For `file`. */
  readonly directory: string;
  /** For `etcd`: `HOST:PORT` each, and files with PEM; empty for none. */
  readonly etcdEndpoints: readonly string[];
  readonly etcdCa: string;
  readonly etcdCert: string;
  readonly etcdKey: string;
  readonly kubernetesApi: string;
  readonly kubernetesCredentials: string;
  readonly kubernetesNamespace: string;
  /** How long a set record may stand still before its leader is suspected. */
  readonly leaseMs: number;
}

/** Throws in one sentence for settings that do not fit together. Loads only the provider that is used. */
export async function openCoordination(options: CoordinationOptions): Promise<Coordination> {
  const { cluster, set, replica } = options;
  switch (options.kind) {
    case 'static': {
      const { openStatic } = await import('./static.ts');
      const replicas = options.replicas.length === 0 ? [replica] : options.replicas;
      const master = options.master === '' ? replicas[0]! : options.master;
      return openStatic({ replicas, master, replica, directory: options.dataDir, ask: options.ask });
    }
    case 'file': {
      if (options.directory === '') throw new Error('Coordination by file needs a directory. Set --coordination-dir.');
      const { openFile } = await import('./file.ts');
      return openFile({ directory: options.directory, cluster, set });
    }
    case 'etcd': {
      const { openEtcd } = await import('./etcd.ts');
      return openEtcd({ endpoints: options.etcdEndpoints, tls: await etcdTls(options), cluster, set });
    }
    case 'kubernetes': {
      const { openKubernetes } = await import('./kubernetes.ts');
      return openKubernetes({
        server: options.kubernetesApi,
        credentials: options.kubernetesCredentials,
        namespace: options.kubernetesNamespace,
        cluster,
        set,
        leaseMs: options.leaseMs,
      });
    }
  }
}

async function etcdTls(options: CoordinationOptions): Promise<NonNullable<GrpcClientOptions['tls']>> {
  const { etcdCa, etcdCert, etcdKey } = options;
  if ((etcdCert === '') !== (etcdKey === '')) {
    throw new Error('A certificate for etcd needs its key. Set both --etcd-cert and --etcd-key, or none.');
  }
  if (etcdCa === '' && etcdCert === '') return 'off';
  const trusted = etcdCa === '' ? undefined : await readFile(etcdCa, 'utf8');
  if (etcdCert === '') return { trusted };
  return { trusted, own: { cert: await readFile(etcdCert, 'utf8'), key: await readFile(etcdKey, 'utf8') } };
}
