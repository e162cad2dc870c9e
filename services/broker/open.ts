// Opens a broker over its directory: takes the log, gets the state back from the newest snapshot and the records behind
// it, begins a new epoch, and serves when that is committed.
import type { Clock, Logger, Observer, Random, Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { Broker } from './broker.ts';
import { indexMessage } from './committer.ts';
import type { CommitLog, LogPolicy, StoredRecord } from './log/log.ts';
import { type LogDisk, type LogOptions, openLog } from './log/open.ts';
import { readStateRecord } from './state/records/codec.ts';
import { readSnapshot, writeSnapshot } from './state/snapshot.ts';
import { BrokerState } from './state/state.ts';

export interface OpenBrokerOptions {
  readonly cluster: string;
  readonly set: string;
  readonly version: string;
  readonly directory: string;
  readonly policy: LogPolicy;
  readonly disk: LogDisk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly onFailure: (error: Error) => void;
  readonly tuning?: LogOptions['tuning'];
}

/** Rejects, and leaves every file as it is, when the log must not be used; the error says which file and what to do. */
export async function openBroker(options: OpenBrokerOptions): Promise<Broker> {
  const { disk, clock, timers, random, logger, directory, set, policy } = options;
  const startedMs = clock.monotonicMs();
  const log = await openLog({
    ...{ disk, clock, timers, random, logger, directory, set, policy },
    clusterId: options.cluster,
    ...(options.tuning === undefined ? {} : { tuning: options.tuning }),
  });
  try {
    const state = await recoverState(log);
    logger.info('log recovered', {
      directory,
      startPosition: log.startPosition,
      endPosition: log.endPosition,
      topics: state.topics.byId.size,
      groups: state.groups.byId.size,
      milliseconds: Math.round(clock.monotonicMs() - startedMs),
    });
    log.beginEpoch(log.epoch + 1);
    const { version, observer, onFailure } = options;
    const broker = new Broker({
      ...{ set, version, log, state, clock, timers, random, logger, observer, onFailure },
      flush: policy.flush,
    });
    await broker.start();
    return broker;
  } catch (error) {
    await log.close().catch(() => undefined);
    throw error;
  }
}

async function recoverState(log: CommitLog): Promise<BrokerState> {
  let state = new BrokerState();
  await log.recover({
    loadSnapshot(bytes) {
      try {
        state = readSnapshot(bytes);
        return true;
      } catch {
        state = new BrokerState();
        return false;
      }
    },
    replay: (record) => replay(log, state, record),
  });
  return state;
}

function replay(log: CommitLog, state: BrokerState, { header, bytes }: StoredRecord): void {
  const { type, position, length, logTimeMs } = header;
  if (type === RECORD_TYPE.segmentStart && log.needsSnapshot(position)) {
    log.sealUpTo(position, writeSnapshot(state)).catch(() => undefined);
  }
  const record = readStateRecord(type, bytes, RECORD_HEADER_BYTES, bytes.length);
  const placed = state.apply(record, position, length, logTimeMs);
  if (placed !== undefined) indexMessage(log, placed, position, length);
}
