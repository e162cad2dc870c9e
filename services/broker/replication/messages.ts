// What replicas of one set say to each other, as plain values, and the connections on which they say it as interfaces,
// so that replication runs over gRPC (`api/replication.ts`) and over a simulated network alike.
import type { LogManifest } from '../log/log.ts';

/** The first thing that a follower says on a stream, and again whenever it has cut its log. */
export interface FetchRequest {
  readonly kind: 'fetch';
  readonly clusterId: string;
  readonly set: string;
  /** Who asks: name, identity of its copy, where its own replication service is. */
  readonly replica: string;
  readonly storeUid: string;
  readonly address: string;
  readonly version: string;
  /** The epoch that it follows. */
  readonly epoch: number;
  /** End of its log, and the epoch of its last record (0 for an empty log). */
  readonly position: number;
  readonly lastEpoch: number;
  /** How much of that counts as stored under the flush policy. */
  readonly stored: number;
}

/** Sent whenever more has been stored, and as a sign of life twice a second. */
export interface StoredReport {
  readonly kind: 'stored';
  readonly stored: number;
}

export type FollowRequest = FetchRequest | StoredReport;

/** Whole records that continue the follower's log at `position`; none at all as a sign of life or for the commit. */
export interface DataReply {
  readonly kind: 'data';
  readonly epoch: number;
  readonly position: number;
  readonly frames: readonly Uint8Array[];
  readonly commitPosition: number;
}

/** The follower's log is not a beginning of the leader's: it must end at `end` at most, where `epoch` ends here. */
export interface DivergedReply {
  readonly kind: 'diverged';
  /** The newest epoch of the leader's log that is not newer than the follower's last one, and where it ends. */
  readonly epoch: number;
  readonly end: number;
  /** The question that this answers; an answer to an older one must not cut anything. */
  readonly position: number;
  readonly lastEpoch: number;
}

export interface RefusedReply {
  readonly kind: 'refused';
  /**
   * `not-leader`, `fenced`: look who leads. `snapshot-needed`: the leader no longer has records that old. `foreign`:
   * another cluster or set.
   */
  readonly reason: 'not-leader' | 'fenced' | 'snapshot-needed' | 'foreign';
  /** The newest epoch that the answering replica knows. */
  readonly epoch: number;
  /** One sentence for people. */
  readonly text: string;
}

export type FollowReply = DataReply | DivergedReply | RefusedReply;

/** The leader's end of a follower's stream. Every event also comes when it is late to listen for it. */
export interface FollowerPort {
  onRequest(listener: (request: FollowRequest) => void): void;
  /** The stream is gone, for whatever reason; runs once. */
  onClose(listener: () => void): void;
  /** Never waits. */
  send(reply: FollowReply): void;
  /** Bytes given to `send` that the network has not taken yet. */
  waitingBytes(): number;
  /** Runs each time the network has taken everything. */
  onDrain(listener: () => void): void;
  end(): void;
}

export interface FollowListener {
  onReply(reply: FollowReply): void;
  /**
   * Once, unless `cancel` ended the call. `unreachable`: nobody listens there (connection refused, host gone);
   * `broken`: anything else.
   */
  onEnd(reason: 'unreachable' | 'broken', text: string): void;
}

export interface FollowCall {
  send(request: FollowRequest): void;
  cancel(): void;
}

/** A connection to another replica of the set. Nothing is sent before the first call. */
export interface ReplicationPeer {
  /** Nothing here throws; what fails ends in `onEnd`, never before the call has returned. */
  follow(listener: FollowListener): FollowCall;
  /** Undefined when that replica has no snapshot to give. Rejects when it cannot be asked. */
  manifest(): Promise<LogManifest | undefined>;
  /** Part of a file of the manifest. Rejects when the file is gone. */
  readFile(name: string, offset: number, length: number): Promise<Buffer>;
  /**
   * The whole committed record at a position, checked there; undefined if that replica does not have it. Length 0: any.
   */
  readRecord(position: number, length: number): Promise<Buffer | undefined>;
  close(): void;
}

export type ConnectPeer = (address: string) => ReplicationPeer;

/** What a replica offers to others of its set, behind the gRPC service or the simulated network. */
export interface ReplicationService {
  follow(port: FollowerPort): void;
  manifest(): Promise<LogManifest | undefined>;
  readFile(name: string, offset: number, length: number): Promise<Buffer>;
  readRecord(position: number, length: number): Promise<Buffer | undefined>;
}
