// kubectl and helm as programs, against the cluster of KUBECONFIG; and what of their answers the tests look at.
import { command, isOnPath } from '../chaos/machine.ts';

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly lastState: { readonly terminated?: { readonly reason: string; readonly exitCode: number } };
    }[];
  };
}

export interface Workload {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly generation: number };
  readonly spec: { readonly replicas: number };
  readonly status: {
    readonly observedGeneration?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly replicas?: number;
  };
}

/** What the tests cannot do without, in sentences; empty when all is there. */
export async function missingForKubernetes(): Promise<string[]> {
  const missing = ['kubectl', 'helm']
    .filter((tool) => !isOnPath(tool))
    .map((tool) => `${tool} is missing. Put it into PATH.`);
  if (missing.length > 0) return missing;
  try {
    await command('kubectl', ['get', 'nodes', '--request-timeout=10s']);
    return [];
  } catch (problem) {
    return [`No Kubernetes answers at KUBECONFIG. Start one, or name one. ${(problem as Error).message}`];
  }
}

export class Kubectl {
  readonly namespace: string;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  run(...words: readonly string[]): Promise<string> {
    return command('kubectl', ['-n', this.namespace, ...words]);
  }

  async json<Answer>(...words: readonly string[]): Promise<Answer> {
    return JSON.parse(await this.run(...words, '-o', 'json')) as Answer;
  }

  async list<Item>(...words: readonly string[]): Promise<readonly Item[]> {
    return (await this.json<{ readonly items: readonly Item[] }>('get', ...words)).items;
  }

  /** As if the machine below had forgotten it: not one more instruction, and no goodbye. */
  async deleteByForce(pod: string): Promise<void> {
    await this.run('delete', 'pod', pod, '--grace-period=0', '--force');
  }

  helm(...words: readonly string[]): Promise<string> {
    return command('helm', ['-n', this.namespace, ...words]);
  }
}

export function isReady({ metadata, status }: Pod): boolean {
  const ready = status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  return ready && metadata.deletionTimestamp === undefined;
}

/** Above it is the number of a signal, by which a node that was lost and an operator end a container too. */
const OWN_EXIT_CODE_MAX = 127;

/** What happened to the containers of a pod that nobody asked for, in sentences. */
export function accidentsOf({ metadata, status }: Pod): readonly string[] {
  return (status.containerStatuses ?? []).flatMap(({ lastState: { terminated }, restartCount }) => {
    if (terminated === undefined) return [];
    const { reason, exitCode } = terminated;
    const isAccident = reason === 'OOMKilled' || (exitCode > 0 && exitCode <= OWN_EXIT_CODE_MAX);
    return isAccident ? [`${metadata.name} ended with ${reason} ${exitCode}, start ${restartCount + 1}`] : [];
  });
}

/** All of its pods are of the newest kind and ready. */
export function isRolledOut({ metadata, spec, status }: Workload): boolean {
  const { observedGeneration = 0, readyReplicas = 0, updatedReplicas = 0, replicas = 0 } = status;
  const counts = [readyReplicas, updatedReplicas, replicas];
  return observedGeneration >= metadata.generation && counts.every((count) => count === spec.replicas);
}
