// One replica's log of a simulated pair: opens, crashes and recovers, is cut and takes over frames, while a list of all
// records that it was given says what must be there. Throws a Violation for the first promise that does not hold.
import { type CommitLog, FrameError } from '@fulmar/broker/log/log.ts';
import { openLog } from '@fulmar/broker/log/open.ts';
import { epochStartBytes, writeEpochStart } from '@fulmar/core/epoch-start.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE } from '@fulmar/core/record.ts';
import { SimulatedDisk } from './disk.ts';
import type { Mistake } from './log-mistakes.ts';
import { demand, History, ModelEngine, type ModelMessage, messagePayloadBytes, writeMessage } from './log-model.ts';
import { randomPolicy, randomTuning } from './log-run.ts';
import type { SeededRandom } from './random.ts';
import { type Scheduler, SimulatedProcess } from './scheduler.ts';
import type { Trace } from './trace.ts';

const DIRECTORY = 'data/log';

/** What both replicas of a pair have agreed on; only the model knows it for sure. */
export interface Agreement {
  committed: number;
}

/** Bytes that were handed out, and what they were then. */
interface View {
  readonly bytes: Buffer;
  readonly copy: Buffer;
}

export class SimulatedReplica {
  readonly history = new History();
  log: CommitLog | undefined;
  engine: ModelEngine | undefined;
  readonly counts = { crashes: 0, cutBytes: 0, readsFromDisk: 0, refusals: 0 };
  private process: SimulatedProcess | undefined;
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly disk: SimulatedDisk;
  private readonly agreement: Agreement;
  private readonly policy: ReturnType<typeof randomPolicy>;
  private readonly tuning: ReturnType<typeof randomTuning>;
  private readonly mistake: Mistake;
  private promised = 0;
  private written = 0;
  private accepted = 0;
  private views: View[] = [];

  constructor(random: SeededRandom, scheduler: Scheduler, trace: Trace, agreement: Agreement, mistake: Mistake) {
    this.random = random;
    this.scheduler = scheduler;
    this.disk = new SimulatedDisk(scheduler, random.fork(), trace);
    this.agreement = agreement;
    this.policy = { ...randomPolicy(random), retentionMs: random.pick([5000, 1_000_000]) };
    this.tuning = randomTuning(random);
    this.mistake = mistake;
  }

  /** Opens and recovers; the power may go down meanwhile. */
  async start(): Promise<void> {
    while (this.log === undefined) {
      this.process = new SimulatedProcess(this.scheduler, this.random.below(100_000) - 50_000);
      await this.attempt(this.open(this.process), 0.15);
    }
  }

  private async open(process: SimulatedProcess): Promise<void> {
    const { history, agreement } = this;
    const log = await openLog(
      this.mistake({
        disk: this.disk,
        clock: process,
        timers: process,
        random: this.random.fork(),
        logger: silentLogger,
        directory: DIRECTORY,
        clusterId: 'cluster',
        set: 'set-0',
        policy: this.policy,
        tuning: this.tuning,
      }),
    );
    const hint = log.commitHint;
    demand(hint <= agreement.committed, () => `${hint} is called committed, but only ${agreement.committed} is`);
    const engine = new ModelEngine(log, history, () => hint);
    await log.recover(engine);
    const end = log.endPosition;
    const least = Math.max(this.promised, this.written, agreement.committed);
    demand(end >= least, () => `the log ends at ${end}, but everything before ${least} was there to stay`);
    demand(end <= history.end, () => `the log ends at ${end}, but nothing behind ${history.end} may come back`);
    history.cut(end);
    this.promised = end;
    demand(log.commitHint <= end, () => 'more is called committed than there is');
    demand(engine.position <= agreement.committed, () => 'what may not be committed was applied');
    demand(log.acceptedEpoch >= this.accepted, () => `epoch ${this.accepted} was accepted and is forgotten`);
    log.onProgress(() => {
      this.promised = Math.max(this.promised, log.durablePosition);
    });
    this.log = log;
    this.engine = engine;
    this.checkEpochs();
  }

  /** Waits for the work, or lets the machine or the process go down somewhere in it. True if it was done. */
  async attempt(work: Promise<unknown>, crashChance: number): Promise<boolean> {
    const { random, scheduler } = this;
    if (!random.chance(crashChance)) {
      await scheduler.settle(work);
      return true;
    }
    let state: 'waiting' | 'done' | { readonly error: unknown } = 'waiting';
    work.then(
      () => {
        state = 'done';
      },
      (error: unknown) => {
        state = { error };
      },
    );
    await scheduler.runFor(random.below(300) / 10);
    const outcome = state as 'waiting' | 'done' | { readonly error: unknown };
    if (typeof outcome === 'object') throw outcome.error;
    if (outcome === 'done') return true;
    await this.crash();
    return false;
  }

  async crash(): Promise<void> {
    // What the process has begun reaches the disk first: nothing of it may begin after its end.
    await this.scheduler.runFor(0);
    const { log, process, random } = this;
    this.counts.crashes++;
    this.checkViews();
    if (log !== undefined) this.promised = Math.max(this.promised, Math.min(log.durablePosition, this.history.end));
    this.written = 0;
    process!.kill();
    if (random.chance(0.3)) {
      if (log !== undefined) this.written = Math.min(log.writtenPosition, this.writtenLimit);
      this.disk.killProcess();
    } else {
      this.disk.crash();
    }
    this.log = undefined;
    this.engine = undefined;
  }

  /** While the log is being cut no more than this is promised. */
  private writtenLimit = Number.MAX_SAFE_INTEGER;

  async close(): Promise<void> {
    await this.scheduler.settle(this.log!.close());
    demand(this.log!.failure === undefined, () => `the log failed without a reason: ${this.log!.failure}`);
    this.promised = this.history.end;
    this.checkViews();
    this.process!.kill();
    this.log = undefined;
  }

  async accept(epoch: number): Promise<boolean> {
    const done = await this.attempt(this.log!.acceptEpoch(epoch), 0.05);
    if (done) this.accepted = epoch;
    return done;
  }

  lead(epoch: number): void {
    const log = this.log!;
    log.beginEpoch(epoch);
    demand(log.logTimeMs() >= log.lastLogTimeMs, () => 'log time went back');
    const payload = { storeUid: log.storeUid, version: 'simulated' };
    const bytes = epochStartBytes(payload);
    this.remember(log.endPosition, bytes, log.append(RECORD_TYPE.epochStart, bytes, writeEpochStart, payload));
  }

  append(): void {
    const log = this.log!;
    const before = log.endPosition;
    if (this.random.chance(0.1)) {
      this.remember(
        before,
        0,
        log.append(RECORD_TYPE.tick, 0, () => undefined, undefined),
      );
      return;
    }
    const message = this.message();
    const bytes = messagePayloadBytes(message);
    this.remember(before, bytes, log.append(RECORD_TYPE.message, bytes, writeMessage, message));
  }

  private message(): ModelMessage {
    const { random } = this;
    const size = random.chance(0.03) ? random.below(this.policy.segmentBytes * 2) : random.below(400);
    const filler = Buffer.alloc(size, random.below(256));
    return { queue: random.below(4), tagHash: random.uint32(), groupHash: random.below(2 ** 45), filler };
  }

  private remember(before: number, payloadBytes: number, end: number): void {
    const position = end - RECORD_HEADER_BYTES - payloadBytes;
    for (const [from, to] of [
      [before, position],
      [position, end],
    ] as const) {
      if (from === to) continue;
      const record = this.log!.read(from, to - from);
      demand(record !== undefined && 'bytes' in record, () => 'what was just appended is not in memory');
      if (record !== undefined && 'bytes' in record) this.history.add(from, record.bytes);
    }
  }

  /** Frames from a place on, as they are in memory or on disk; they must be the very bytes of whole records. */
  async frames(position: number): Promise<Buffer> {
    const log = this.log!;
    const found = log.readFrames(position, this.random.pick([1, 300, 5000]));
    if (found instanceof Promise) this.counts.readsFromDisk++;
    const buffers = found instanceof Promise ? await this.scheduler.settle(found) : found;
    demand(buffers !== undefined, () => `records at ${position} are gone although the other replica needs them`);
    for (const bytes of buffers!) this.views.push({ bytes, copy: Buffer.from(bytes) });
    const bytes = Buffer.concat(buffers!);
    const { history } = this;
    demand(bytes.length > 0 || position === history.end, () => `no records are given from ${position} on`);
    const from = history.indexOf(position)!;
    const to = history.indexOf(position + bytes.length);
    demand(to !== undefined, () => `records from ${position} on end in the middle of one`);
    const known = Buffer.concat(history.records.slice(from, to).map((record) => record.bytes));
    demand(known.equals(bytes), () => `records from ${position} on are given as other bytes`);
    return bytes;
  }

  take(frames: Buffer, from: History): void {
    const { history } = this;
    const log = this.log!;
    const end = history.end + frames.length;
    const copy = Buffer.from(frames);
    log.appendFrames(copy);
    // They were copied: what becomes of them is of no interest.
    copy.fill(0);
    demand(log.endPosition === end, () => `frames up to ${end} were sent, the log ends at ${log.endPosition}`);
    for (let i = from.indexOf(history.end)!; history.end < end; i++) {
      history.add(from.records[i]!.position, from.records[i]!.bytes);
    }
    this.checkEpochs();
  }

  /** Frames that are not what follows here are refused, each for its reason, and change nothing. */
  refuse(frames: Buffer, kind: FrameError['kind']): void {
    const log = this.log!;
    const before = log.endPosition;
    try {
      log.appendFrames(frames);
    } catch (error) {
      demand(error instanceof FrameError && error.kind === kind, () => `refused with ${error} instead of ${kind}`);
      demand(log.endPosition === before, () => 'what was refused was appended');
      this.counts.refusals++;
      return;
    }
    demand(false, () => `frames were taken although they are wrong (${kind})`);
  }

  /** True if it was done, and not cut short by a crash. */
  async truncate(position: number): Promise<boolean> {
    const { history } = this;
    this.counts.cutBytes += history.end - position;
    this.promised = Math.min(this.promised, position);
    this.writtenLimit = position;
    const done = await this.attempt(this.log!.truncate(position), 0.5);
    this.writtenLimit = Number.MAX_SAFE_INTEGER;
    this.promised = Math.min(this.promised, position);
    this.written = Math.min(this.written, position);
    if (!done) return false;
    const log = this.log!;
    demand(log.endPosition === position, () => `the log was cut at ${position} and ends at ${log.endPosition}`);
    demand(log.durablePosition === position, () => 'what is left after a cut is not durable');
    history.cut(position);
    this.promised = position;
    this.checkEpochs();
    return true;
  }

  commit(position: number): void {
    this.log!.noteCommitted(position);
    this.engine!.applyUpTo(position);
  }

  private checkEpochs(): void {
    const log = this.log!;
    const known = this.history.epochs();
    const found = log.epochs;
    const tail = known.slice(known.length - found.length);
    demand(
      JSON.stringify(found) === JSON.stringify(tail),
      () => `the epochs are ${JSON.stringify(known)}, the log says ${JSON.stringify(found)}`,
    );
    const isEnough = tail.length === known.length || tail[0]!.startPosition <= log.startPosition;
    demand(isEnough, () => 'an epoch of records that are kept is forgotten');
  }

  private checkViews(): void {
    for (const { bytes, copy } of this.views)
      demand(bytes.equals(copy), () => 'bytes that were given out have changed');
    this.views = [];
  }

  /** Every record that is kept reads as it was appended. */
  async readAll(): Promise<void> {
    const log = this.log!;
    for (const { position, length, bytes } of this.history.records) {
      const read = log.read(position, length);
      const found = read instanceof Promise ? await this.scheduler.settle(read) : read;
      if (found === undefined) demand(position < log.startPosition, () => `${position} is gone`);
      else demand(found.bytes.equals(bytes), () => `${position} reads as other bytes`);
    }
  }
}
