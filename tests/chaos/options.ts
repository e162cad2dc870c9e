// The command line of a run: which faults, how many rounds, which cluster.
import { parseArgs } from 'node:util';
import type { ClusterShape } from './building.ts';
import { FAULTS, type Fault } from './faults.ts';

export interface Options {
  readonly rounds: number;
  readonly faults: readonly Fault[];
  /** Faults that were asked for and make no sense for this cluster. */
  readonly unfit: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly json: string | undefined;
  readonly keep: boolean;
  readonly shape: ClusterShape;
}

export const USAGE = `scripts/chaos [--rounds N] [--faults A,B] [--seed N] [--json FILE] [--keep]
              [--replicas N] [--sets N] [--coordination etcd|file|none]

Runs a cluster of real processes, each in a network and on a disk of its own, under traffic of official clients, plays
faults, and judges what the clients saw. Needs root on Linux. Nothing of it is left but the directory of a run
that failed (or of any, with --keep): logs of all processes and histories of all clients.

  --rounds N        how many faults are played; as many as there are kinds when it is not given
  --faults A,B      which kinds, the same one several times if you like; all that fit when it is not given
  --seed N          the same seed plays the same faults in the same order, in the same sets
  --replicas N      of each broker set (1)
  --coordination X  what the replicas of a set agree through (none for one replica, else etcd)

Faults:
${FAULTS.map(({ name, text }) => `  ${name.padEnd(17)} ${text}`).join('\n')}`;

export function readOptions(words: readonly string[]): Options | string {
  try {
    return parse(words);
  } catch (error) {
    return (error as Error).message;
  }
}

function parse(words: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...words],
    options: {
      ...{ rounds: text, faults: text, seed: text, json: text, replicas: text, sets: text, coordination: text },
      keep: { type: 'boolean', default: false },
    },
  });
  const replicas = numberOf('--replicas', values.replicas, 1);
  const coordination = values.coordination ?? (replicas === 1 ? 'none' : 'etcd');
  if (coordination !== 'none' && coordination !== 'file' && coordination !== 'etcd') {
    throw new Error(`--coordination cannot be "${coordination}". Give etcd, file or none.`);
  }
  if (coordination === 'none' && replicas > 1) throw new Error('Several replicas need --coordination etcd or file.');
  const shape = {
    sets: numberOf('--sets', values.sets, 2),
    replicas,
    proxies: 2,
    nameservers: 3,
    coordination,
  } as const;
  const wanted = values.faults?.split(',') ?? FAULTS.map(({ name }) => name);
  const unfit: Record<string, string> = {};
  const faults = wanted.flatMap((name) => {
    const fault = FAULTS.find((row) => row.name === name);
    if (fault === undefined) throw new Error(`There is no fault "${name}". See --help.`);
    const reason = fault.unfit?.(shape);
    if (reason !== undefined) unfit[name] = reason;
    return reason === undefined ? [fault] : [];
  });
  if (faults.length === 0) throw new Error(`None of these faults fits this cluster: ${Object.values(unfit)[0]}.`);
  const seed = numberOf('--seed', values.seed, Math.floor(Math.random() * 2 ** 32));
  const rounds = numberOf('--rounds', values.rounds, faults.length);
  return { rounds, faults, unfit, seed, json: values.json, keep: values.keep, shape };
}

function numberOf(flag: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!/^\d+$/.test(value)) throw new Error(`${flag} cannot be "${value}". Give a whole number.`);
  return Number(value);
}
