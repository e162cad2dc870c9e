// The first look at the set's record: whether there is one that this replica can believe, or whether the set is to be
// founded. A store that has lost what it stored is never overruled by a replica on its own.
import { replicaUid, type SetRecord } from '@fulmar/core/coordination.ts';
import type { ReplicaOptions } from './replica-options.ts';
import type { SetRegistry } from './set-registry.ts';

/**
 * False while there is no record and this replica is not the one to write it. Rejects when the store cannot be asked;
 * `refuse` is told, in a sentence for people, why this replica must not go on.
 */
export async function findSet(
  registry: SetRegistry,
  options: ReplicaOptions,
  me: string,
  isWanted: () => boolean,
  refuse: (error: Error) => void,
): Promise<boolean> {
  const observed = await registry.read();
  const { log, set, founder, adoptLog, minInSync, coordination } = options;
  const problem = observed === undefined ? undefined : goneBack(observed.record, options);
  if (problem !== undefined) refuse(problem);
  if (observed !== undefined) return true;
  if (log.endPosition > 0 && !adoptLog && !coordination.fixedInSync) {
    const what = `The coordination store knows nothing of set ${set}, but this replica has a log of it`;
    refuse(new Error(`${what}. Restore the store, or start once with --adopt-log to found the set on this log.`));
    return true;
  }
  if (!founder) return false;
  const inSync = coordination.fixedInSync ? options.replicas.map(replicaUid) : [me];
  const nobody = { epoch: log.acceptedEpoch, leader: '', leaderAddress: '', preferred: me, renewals: 0 };
  await registry.swap(undefined, { ...nobody, inSync, minInSync, members: [], losses: [] }, isWanted);
  return registry.latest !== undefined;
}

/** An epoch that was accepted is never unknown to a store that has kept what it stored. */
export function goneBack(record: SetRecord, { set, log }: ReplicaOptions): Error | undefined {
  if (record.epoch >= log.acceptedEpoch) return undefined;
  const known = `epoch ${record.epoch}, but this replica has accepted epoch ${log.acceptedEpoch}`;
  return new Error(`The coordination store has gone back: it knows ${known} of set ${set}. Restore the store.`);
}
