// The objects that the chart renders, for tests: as data, with what every pod has in common within reach.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { helm, render } from '../../scripts/chart/helm.ts';

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly resources?: {
    readonly limits?: { readonly memory?: string };
    readonly requests?: { readonly memory?: string };
  };
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts?: readonly { readonly name: string }[];
}

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly automountServiceAccountToken?: boolean;
  readonly serviceAccountName?: string;
  readonly hostNetwork?: boolean;
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly seccompProfile?: { readonly type: string };
  };
  readonly volumes?: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[];
  readonly affinity?: object;
}

interface Labels {
  readonly [name: string]: string;
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: Labels;
  readonly rules?: readonly {
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
    readonly resourceNames?: readonly string[];
  }[];
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: Labels & { readonly matchLabels?: Labels };
    readonly template?: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
    readonly containers?: readonly Container[];
    readonly [name: string]: unknown;
  };
}

export function objectsOf(...words: readonly string[]): readonly KubernetesObject[] {
  return parseObjects(render('release', 'somewhere', ...words));
}

/** helm writes YAML, and reads it too: a chart of a few lines makes JSON of it. */
export function parseObjects(yaml: string): readonly KubernetesObject[] {
  const directory = mkdtempSync(join(tmpdir(), 'fulmar-chart-'));
  try {
    writeFileSync(join(directory, 'text'), yaml);
    const words = ['template', 'json', join(import.meta.dirname, 'to-json')];
    const output = helm(...words, '--set-file', `text=${join(directory, 'text')}`);
    const lines = output.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as KubernetesObject);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Every pod that an object makes; undefined for objects that make none. */
export function podOf({ kind, spec }: KubernetesObject): PodSpec | undefined {
  if (kind === 'Pod') return spec as PodSpec | undefined;
  return spec?.template?.spec;
}
