// The command line of a run: which preset, which faults, which image.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../chaos/machine.ts';
import { FAULTS, type Fault } from './faults.ts';

export interface Options {
  readonly quick: boolean;
  readonly faults: readonly Fault[];
  /** Faults that cannot be played on this cluster, with the reason. */
  readonly unfit: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly json: string | undefined;
  readonly keep: boolean;
  readonly image: string;
  readonly clientsImage: string | undefined;
  readonly namespace: string;
}

/** A short run: what a release has to survive on a single node. */
const QUICK_FAULTS = ['kill-master', 'lose-volume', 'kill-proxy', 'restart-set'];

export const USAGE = `scripts/test-kubernetes [--quick] [--faults A,B] [--image NAME:TAG] [--clients-image NAME:TAG]
                        [--namespace NAME] [--seed N] [--json FILE] [--keep]

Installs the production preset with small resources into the cluster of KUBECONFIG, in a namespace of its own, lets
official clients send and receive through a port of a node while pods, volumes and nodes are taken away, and judges what
the clients saw: nothing that was answered OK may be lost. The images must be where the cluster finds them. In the end
the namespace is deleted, unless --keep is given.

  --quick           one set of three, on one node, and only ${QUICK_FAULTS.join(', ')}
  --faults A,B      which faults, the same one several times if you like; all that fit when it is not given
  --image           of the services (fulmar:VERSION)
  --clients-image   of tests/kubernetes/clients.Dockerfile; without it no client is tried in a pod
  --seed N          the same seed picks the same pods

Faults:
${FAULTS.map(({ name, text }) => `  ${name.padEnd(20)} ${text}`).join('\n')}`;

export interface Surroundings {
  readonly nodes: number;
  readonly canEndNodes: boolean;
}

export function readOptions(words: readonly string[], around: Surroundings): Options | string {
  try {
    return parse(words, around);
  } catch (error) {
    return (error as Error).message;
  }
}

function parse(words: readonly string[], around: Surroundings): Options {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...words],
    options: {
      ...{ faults: text, image: text, 'clients-image': text, namespace: text, seed: text, json: text },
      ...{ quick: flag, keep: flag },
    },
  });
  const all = FAULTS.map(({ name }) => name);
  const wanted = values.faults?.split(',') ?? (values.quick ? QUICK_FAULTS : all);
  const unfit: Record<string, string> = {};
  const faults = wanted.flatMap((name) => {
    const fault = FAULTS.find((row) => row.name === name);
    if (fault === undefined) throw new Error(`There is no fault "${name}". See --help.`);
    const reason = reasonAgainst(fault, values.quick, around);
    if (reason !== undefined) unfit[name] = reason;
    return reason === undefined ? [fault] : [];
  });
  if (faults.slice(1).some(({ grows }) => grows)) throw new Error('grow-set can be played once only, as the first.');
  const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 32));
  if (!/^\d+$/.test(seed)) throw new Error(`--seed cannot be "${seed}". Give a whole number.`);
  return {
    quick: values.quick,
    faults,
    unfit,
    seed: Number(seed),
    json: values.json,
    keep: values.keep,
    image: values.image ?? `fulmar:${version()}`,
    clientsImage: values['clients-image'],
    namespace: values.namespace ?? 'fulmar-test',
  };
}

function reasonAgainst(fault: Fault, quick: boolean, { nodes, canEndNodes }: Surroundings): string | undefined {
  if (fault.grows === true && quick) return 'a quick run has one set only';
  if (fault.needsNodes === undefined) return undefined;
  if (nodes < fault.needsNodes) return `it needs ${fault.needsNodes} nodes, and there are ${nodes}`;
  return canEndNodes ? undefined : 'there is no program here that ends nodes';
}

function version(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }).version;
}
