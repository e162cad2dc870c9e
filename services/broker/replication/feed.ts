// The leader's end of one follower's stream: answers where the two logs part, and from then on sends what is appended,
// at once, as far as the follower keeps up. While one message is on its way the next one collects.
import type { Timer, Timers } from '@fulmar/core/ports.ts';
import type { FetchRequest, FollowerPort, FollowReply, FollowRequest } from './messages.ts';
import { endOfEpoch, type ReplicatedLog, reignUpTo } from './replicated-log.ts';

/** What a feed asks of the leader. */
export interface FeedOwner {
  readonly log: ReplicatedLog;
  readonly timers: Timers;
  readonly epoch: number;
  commitPosition(): number;
  /** Judges who asks; a reply that ends the stream, or undefined if it may follow. */
  refuse(request: FetchRequest): FollowReply | undefined;
  matched(feed: Feed, request: FetchRequest): void;
  stored(feed: Feed, position: number): void;
  closed(feed: Feed): void;
  /** Reading the log failed. */
  failed(error: unknown): void;
}

const BATCH_BYTES = 1024 * 1024;
/** Sent and not yet stored: more would only wait in the follower's memory. */
const AHEAD_BYTES = 16 * 1024 * 1024;
/** A sign of life, also for the commit position of a log that nobody appends to. */
const QUIET_MS = 500;

export class Feed {
  /** Who follows: identity of its copy of the log; empty until it has asked. */
  storeUid = '';
  replica = '';
  private readonly owner: FeedOwner;
  private readonly port: FollowerPort;
  private isMatched = false;
  private isReading = false;
  private isOpen = true;
  private sentPosition = 0;
  private sentCommit = 0;
  private storedPosition = 0;
  private quiet: Timer | undefined;

  constructor(owner: FeedOwner, port: FollowerPort) {
    this.owner = owner;
    this.port = port;
    port.onRequest((request) => this.take(request));
    port.onDrain(() => this.pump());
    port.onClose(() => this.close());
  }

  private take(request: FollowRequest): void {
    if (!this.isOpen) return;
    if (request.kind === 'fetch') this.answer(request);
    else if (this.isMatched && request.stored <= this.sentPosition) this.noteStored(request.stored);
  }

  private answer(request: FetchRequest): void {
    this.isMatched = false;
    const refused = this.owner.refuse(request);
    if (refused !== undefined) {
      this.end(refused);
      return;
    }
    const { log } = this.owner;
    const parting = partingOf(log, request);
    if (parting !== undefined) {
      this.port.send({ kind: 'diverged', ...parting, position: request.position, lastEpoch: request.lastEpoch });
      return;
    }
    if (request.position < log.startPosition) {
      const text = `This log begins at ${log.startPosition}. Copy a snapshot first.`;
      this.end({ kind: 'refused', reason: 'snapshot-needed', epoch: this.owner.epoch, text });
      return;
    }
    this.isMatched = true;
    this.storeUid = request.storeUid;
    this.replica = request.replica;
    this.sentPosition = request.position;
    this.storedPosition = Math.min(request.stored, request.position);
    this.sendData([]);
    this.owner.matched(this, { ...request, stored: this.storedPosition });
    this.pump();
  }

  private noteStored(position: number): void {
    this.storedPosition = Math.max(this.storedPosition, position);
    this.owner.stored(this, position);
    this.pump();
  }

  /** Sends what there is to send: records, or that more is committed. */
  pump(): void {
    const { log } = this.owner;
    while (this.mayRead(log)) {
      const frames = log.readFrames(this.sentPosition, BATCH_BYTES);
      if (frames instanceof Promise) {
        this.isReading = true;
        frames.then(
          (read) => this.afterReading(read),
          (error: unknown) => this.readingFailed(error),
        );
        return;
      }
      if (!this.sendFrames(frames)) return;
    }
    if (this.mayTell() && this.sentCommit < this.owner.commitPosition()) this.sendData([]);
  }

  /** Nothing piles up in front of a follower that does not read. */
  private mayTell(): boolean {
    return this.isOpen && this.isMatched && this.port.waitingBytes() === 0;
  }

  private mayRead(log: ReplicatedLog): boolean {
    if (!this.mayTell() || this.isReading || this.sentPosition >= log.endPosition) return false;
    return this.sentPosition - this.storedPosition < AHEAD_BYTES;
  }

  private afterReading(frames: readonly Uint8Array[] | undefined): void {
    this.isReading = false;
    if (this.isOpen && this.isMatched && this.sendFrames(frames)) this.pump();
  }

  private readingFailed(error: unknown): void {
    this.isReading = false;
    this.close();
    this.port.end();
    this.owner.failed(error);
  }

  private sendFrames(frames: readonly Uint8Array[] | undefined): boolean {
    if (frames === undefined) {
      const text = 'Retention has removed the next record. Copy a snapshot first.';
      this.end({ kind: 'refused', reason: 'snapshot-needed', epoch: this.owner.epoch, text });
      return false;
    }
    this.sendData(frames);
    return true;
  }

  private sendData(frames: readonly Uint8Array[]): void {
    const position = this.sentPosition;
    const commitPosition = this.owner.commitPosition();
    for (const { length } of frames) this.sentPosition += length;
    this.sentCommit = commitPosition;
    this.port.send({ kind: 'data', epoch: this.owner.epoch, position, frames, commitPosition });
    this.armQuiet();
  }

  private armQuiet(): void {
    this.quiet?.cancel();
    this.quiet = this.owner.timers.after(QUIET_MS, () => {
      if (this.mayTell()) this.sendData([]);
      else if (this.isOpen) this.armQuiet();
    });
  }

  /** Ends the stream with a last word. */
  end(reply: FollowReply): void {
    if (!this.isOpen) return;
    this.port.send(reply);
    this.close();
    this.port.end();
  }

  private close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.quiet?.cancel();
    this.owner.closed(this);
  }
}

/** Where the follower's log stops being a beginning of ours; undefined if all of it is one. */
export function partingOf(
  log: Pick<ReplicatedLog, 'epochs' | 'endPosition'>,
  { position, lastEpoch }: Pick<FetchRequest, 'position' | 'lastEpoch'>,
): { readonly epoch: number; readonly end: number } | undefined {
  if (position === 0) return undefined;
  const end = endOfEpoch(log, lastEpoch);
  if (end !== undefined && position <= end) return undefined;
  return reignUpTo(log, lastEpoch);
}
