// A replica's log together with the state that folds from it. Opening one gets the state back from the newest snapshot
// and the records behind it, as far as they are known to be committed; the rest is applied when the set says that it
// is. What this copy has lost is fetched from other replicas, if there are any that have it.
import type { SetRecord } from '@fulmar/core/coordination.ts';
import { applyRecord } from './applier.ts';
import { CorruptLogError, IncompleteLogError } from './log/errors.ts';
import { installLog } from './log/install.ts';
import type { CommitLog } from './log/log.ts';
import { openLog } from './log/open.ts';
import { quarantineLog } from './log/quarantine.ts';
import type { LogRepair } from './log/repair.ts';
import type { NodeOptions } from './node-options.ts';
import type { ConnectPeer, ReplicationPeer } from './replication/messages.ts';
import { readSnapshot } from './state/snapshot.ts';
import { SnapshotVersionError } from './state/snapshot-sections.ts';
import { BrokerState } from './state/state.ts';

export interface Store {
  readonly log: CommitLog;
  readonly state: BrokerState;
}

/** What the set knows of the other replicas. */
export interface Others {
  /** Replication addresses of the other replicas, best first. */
  peers(): Promise<readonly string[]>;
  /** Replication addresses of the other members of the in-sync set. */
  inSync(): Promise<readonly string[]>;
}

const READ_BYTES = 4 * 1024 * 1024;
const INDEX_BYTES_MAX = 1024 ** 3;

/**
 * Rejects, and leaves every file as it is, when the log must not be used and no other in-sync replica can be asked for
 * it; the error says which file and what to do.
 */
export async function openStore(options: NodeOptions, others: Others): Promise<Store> {
  try {
    return await openOnce(options, others);
  } catch (error) {
    if (error instanceof CorruptLogError && (await someoneHasAll(options, others))) {
      const { directory, logger } = options;
      const report = await quarantineLog(copyOptions(options), error);
      logger.warn('a damaged copy was put aside; another replica has everything', { directory, ...report });
    } else if (error instanceof IncompleteLogError) {
      await copyFromAny(options, others, 'keep');
    } else {
      throw error;
    }
  }
  return openOnce(options, others);
}

async function openOnce(options: NodeOptions, others: Others): Promise<Store> {
  const { cluster, disk, clock, timers, random, logger, observer, directory, set, policy, tuning, bootId } = options;
  const startedMs = clock.monotonicMs();
  // Nothing is removed before it is known what waits in the log, or has no decision.
  let recovered: BrokerState | undefined;
  const log = await openLog({
    ...{ disk, clock, timers, random, logger, observer, directory, set, policy, clusterId: cluster },
    repair: repairFrom(options.connect, others),
    pin: () => recovered?.oldestNeeded ?? 0,
    ...(tuning === undefined ? {} : { tuning }),
    ...(bootId === undefined ? {} : { bootId }),
  });
  try {
    const state = await recoverState(log, options.onOpening);
    recovered = state;
    logger.info('log recovered', {
      directory,
      startPosition: log.startPosition,
      endPosition: log.endPosition,
      lastEpoch: log.epochs.at(-1)?.epoch ?? 0,
      appliedPosition: state.position,
      topics: state.topics.byName.size,
      groups: state.groups.byName.size,
      delayedMessages: state.delayed.size,
      milliseconds: Math.round(clock.monotonicMs() - startedMs),
    });
    return { log, state };
  } catch (error) {
    await log.close().catch(() => undefined);
    throw error;
  }
}

async function recoverState(log: CommitLog, tell: NodeOptions['onOpening']): Promise<BrokerState> {
  let state = new BrokerState();
  const { commitHint } = log;
  await log.recover({
    loadSnapshot(bytes) {
      try {
        state = readSnapshot(bytes);
        return true;
      } catch (error) {
        // An older snapshot would lead to the same records, which this program does not know either.
        if (error instanceof SnapshotVersionError) throw error;
        state = new BrokerState();
        return false;
      }
    },
    replay({ header: { type, position, length, logTimeMs }, bytes }) {
      if (position + length <= commitHint) applyRecord(log, state, type, bytes, position, logTimeMs);
    },
    progressed(positionBytes, endBytes) {
      tell?.(`The log is being read: ${positionBytes} of at most ${endBytes} bytes.`);
    },
  });
  return state;
}

/** Makes this directory a copy of another replica's log; what was in it is kept aside or, if merely old, removed. */
export async function copyFromAny(options: NodeOptions, others: Others, previous: 'keep' | 'remove'): Promise<void> {
  const { logger, connect } = options;
  let reason: unknown = new Error('No other replica of the set is known. Start one that has the log.');
  for (const address of await others.inSync()) {
    const peer = connect(address);
    try {
      logger.info('copying the log of another replica', { address });
      const report = await installLog(
        { ...copyOptions(options), previous, reserveBytes: options.policy.reserveBytes },
        {
          manifest: () => peer.manifest(),
          read: (name, offset, length) => peer.readFile(name, offset, length),
        },
        ({ copiedBytes, totalBytes }) =>
          options.onOpening?.(`The log is being copied from ${address}: ${copiedBytes} of ${totalBytes} bytes.`),
      );
      logger.info('the log was copied', { address, ...report });
      return;
    } catch (error) {
      reason = error;
      logger.warn('the log of another replica could not be copied', { address, error: String(error) });
    } finally {
      peer.close();
    }
  }
  throw reason;
}

function copyOptions({ disk, random, directory, cluster, set, logger }: NodeOptions) {
  return { disk, random, directory, clusterId: cluster, set, logger };
}

/** Whether another member of the in-sync set answers: only then may a damaged copy be given up. */
async function someoneHasAll({ connect }: NodeOptions, others: Others): Promise<boolean> {
  const addresses = await others.inSync().catch(() => []);
  const found = await firstAnswer(connect, addresses, async (peer) => ({ manifest: await peer.manifest() }));
  return found !== undefined;
}

function repairFrom(connect: ConnectPeer, others: Others): LogRepair {
  return {
    record: async (position, length) =>
      firstAnswer(connect, await others.peers(), (peer) => peer.readRecord(position, length ?? 0)),
    indexFile: async (name) => firstAnswer(connect, await others.peers(), (peer) => readIndexFile(peer, name)),
  };
}

async function readIndexFile(peer: ReplicationPeer, name: string): Promise<Buffer | undefined> {
  const file = (await peer.manifest())?.files.find((each) => each.name === name);
  if (file === undefined || file.bytes > INDEX_BYTES_MAX) return undefined;
  const parts: Buffer[] = [];
  for (let at = 0; at < file.bytes; at += READ_BYTES) {
    parts.push(await peer.readFile(name, at, Math.min(READ_BYTES, file.bytes - at)));
  }
  return Buffer.concat(parts);
}

async function firstAnswer<T>(
  connect: ConnectPeer,
  addresses: readonly string[],
  ask: (peer: ReplicationPeer) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const address of addresses) {
    const peer = connect(address);
    try {
      const answer = await ask(peer);
      if (answer !== undefined) return answer;
    } catch {
      // The next one may know; if nobody does, the damage is reported by who asked.
    } finally {
      peer.close();
    }
  }
  return undefined;
}

/** Addresses out of the set's record, without this replica: the leader first. */
export function othersIn(record: SetRecord | undefined, replica: string, inSyncOnly: boolean): readonly string[] {
  const leader = record?.leader ?? '';
  return (record?.members ?? [])
    .filter((member) => member.replica !== replica && (!inSyncOnly || record!.inSync.includes(member.storeUid)))
    .sort((a, b) => Number(b.storeUid === leader) - Number(a.storeUid === leader))
    .map(({ address }) => address);
}
