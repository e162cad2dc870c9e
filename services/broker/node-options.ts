// What a replica of a broker set is told when it is opened: which set it belongs to, how patient and how strict it is,
// and the world that it lives in.
import type { Coordination } from '@fulmar/core/coordination.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Clock, Logger, Observer, Random, Timers } from '@fulmar/core/ports.ts';
import type { LogPolicy } from './log/log.ts';
import type { LogDisk, LogOptions } from './log/open.ts';
import type { ConnectPeer } from './replication/messages.ts';
import type { ReplicationTimes } from './replication/replica-options.ts';
import type { TransactionPolicy } from './serve/transaction-policy.ts';

export interface NodeOptions {
  readonly cluster: string;
  readonly set: string;
  readonly replica: string;
  readonly version: string;
  readonly directory: string;
  readonly policy: LogPolicy;
  /** Changes with every start of the machine; undefined where there is none. */
  readonly bootId: string | undefined;
  /** Names of all replicas of the set. */
  readonly replicas: readonly string[];
  readonly minInSync: number;
  /** Whether a send is answered when the in-sync set has it, or when this replica has. */
  readonly acknowledge: 'isr' | 'leader';
  readonly transactionPolicy: TransactionPolicy;
  /** The longest delay of a message that is taken; `LIMITS.delayMs` if it is not set. */
  readonly maxDelayMs?: number;
  readonly founder: boolean;
  readonly adoptLog: boolean;
  readonly acceptLoss: boolean;
  readonly times: ReplicationTimes;
  /** `host:port` under which the other replicas reach this one. */
  readonly address: string;
  readonly openCoordination: () => Promise<Coordination>;
  readonly connect: ConnectPeer;
  readonly disk: LogDisk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  /** Called when it cannot go on: the process should end, and start again from what is really on disk. */
  readonly onFailure: (error: Error) => void;
  /** Told in one sentence, now and then, how far the first opening of the log is. */
  readonly onOpening?: (progress: string) => void;
  readonly tuning?: LogOptions['tuning'];
  /** What may be kept in memory; all that is allowed if absent. */
  readonly bounds?: MemoryBounds;
}
