// One simulated life story of a log, from one seed: random policy and sizes, appends, reads, retention, full and
// failing disks, power cuts, kills and bit rot, reopening in between, and after every step the checks that make up the
// log's promises. Throws a Violation for the first promise that does not hold.

import { CorruptLogError } from '@fulmar/broker/log/errors.ts';
import type { CommitLog, IndexEntry, LogPolicy } from '@fulmar/broker/log/log.ts';
import { type LogOptions, openLog } from '@fulmar/broker/log/open.ts';
import type { LogTuning } from '@fulmar/broker/log/tuning.ts';
import { epochStartBytes, writeEpochStart } from '@fulmar/core/epoch-start.ts';
import { silentLogger } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_MAGIC, RECORD_TYPE } from '@fulmar/core/record.ts';
import { SimulatedDisk } from './disk.ts';
import type { Mistake } from './log-mistakes.ts';
import { demand, History, ModelEngine, type ModelMessage, messagePayloadBytes, writeMessage } from './log-model.ts';
import { SeededRandom } from './random.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const DIRECTORY = 'data/log';
const QUEUES = 4;
const RECORD_BYTES_MAX = 64 * 1024;

interface Life {
  readonly log: CommitLog;
  readonly engine: ModelEngine;
  readonly process: SimulatedProcess;
}

export class LogRun {
  readonly trace = new Trace();
  readonly counts = { records: 0, crashes: 0, tornBytes: 0, removedSegments: 0, damages: 0, fullDisks: 0, failures: 0 };
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly disk: SimulatedDisk;
  private readonly history = new History();
  private readonly policy: LogPolicy;
  private readonly tuning: LogTuning;
  private readonly mistake: Mistake;
  /** The log has said that everything before it survives. */
  private promised = 0;
  /** The same for the end of the process alone, while the machine stays up. */
  private written = 0;
  /** Calls have failed in this life; the log may find out later. */
  private disturbed = false;

  constructor(seed: number, mistake: Mistake = (options) => options) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    this.disk = new SimulatedDisk(this.scheduler, this.random.fork(), this.trace);
    this.policy = randomPolicy(this.random);
    this.tuning = randomTuning(this.random);
    this.mistake = mistake;
  }

  async run(): Promise<void> {
    const lives = this.random.between(2, 4);
    for (let i = 0; i < lives; i++) {
      const life = await this.begin();
      if (life === undefined) continue;
      await this.live(life);
      if (await this.end(life)) return;
    }
    const last = await this.begin(false);
    await this.everythingBecomesDurable(last!);
    await this.scheduler.settle(last!.log.close());
  }

  /** Opens and recovers, unless the power goes down meanwhile. */
  private async begin(mayCrash = true): Promise<Life | undefined> {
    const process = new SimulatedProcess(this.scheduler, this.random.below(100_000) - 50_000);
    const opening = this.open(process);
    if (mayCrash && this.random.chance(0.15)) {
      let opened: Life | undefined;
      let thrown: unknown;
      opening.then(
        (life) => {
          opened = life;
        },
        (error: unknown) => {
          thrown = error;
        },
      );
      await this.scheduler.runFor(this.random.below(300) / 10);
      if (thrown !== undefined) throw thrown;
      if (opened !== undefined) return opened;
      this.powerCut(process);
      return undefined;
    }
    return this.scheduler.settle(opening);
  }

  private async open(process: SimulatedProcess): Promise<Life> {
    const { history } = this;
    this.disturbed = false;
    const options: LogOptions = {
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
    };
    const log = await openLog(this.mistake(options));
    const engine = new ModelEngine(log, history);
    const report = await log.recover(engine);
    this.counts.tornBytes += report.cutBytes;
    const end = log.endPosition;
    const least = Math.max(this.promised, this.written);
    demand(end >= least, () => `the log ends at ${end}, but everything before ${least} was there to stay`);
    demand(end <= history.end, () => `the log ends at ${end}, behind all that was ever appended`);
    history.cut(end);
    this.promised = end;
    demand(log.durablePosition === end, () => 'what recovery gave back is not called durable');
    demand(engine.position === end, () => `recovery led to ${engine.position}, the log ends at ${end}`);
    const hash = history.hashBefore(history.records.length);
    demand(engine.hash === hash, () => 'the state after recovery is not the fold over the records that are there');
    const lastTimeMs = Number(history.records.at(-1)?.bytes.readBigUInt64BE(24) ?? 0);
    demand(log.logTimeMs() >= lastTimeMs, () => 'log time went back');
    log.onProgress(() => this.progress(log, engine));
    // Without its epoch start nothing that the log writes is a witness for what was durable.
    log.beginEpoch(log.epoch + 1);
    this.appendEpochStart(log);
    return { log, engine, process };
  }

  private progress(log: CommitLog, engine: ModelEngine): void {
    this.promised = Math.max(this.promised, log.durablePosition);
    engine.applyUpTo(this.policy.flush === 'sync' ? log.durablePosition : log.writtenPosition);
  }

  private async live(life: Life): Promise<void> {
    const steps = this.random.between(3, 14);
    for (let i = 0; i < steps; i++) {
      if (life.log.failure !== undefined) return;
      await this.step(life);
    }
  }

  private async step(life: Life): Promise<void> {
    const { random, scheduler } = this;
    const choice = random.below(20);
    if (choice < 9) this.appendBurst(life);
    else if (choice < 12) await this.readSome(life);
    else if (choice < 15) await this.askIndex(life);
    else if (choice < 16) await this.retain(life);
    else if (choice < 17) await scheduler.runFor(random.below(2500));
    else if (choice < 18 && random.chance(0.3)) await this.fillDisk(life);
    else if (choice < 19 && random.chance(0.2)) await this.failDisk(life);
    if (random.chance(0.7)) await scheduler.runFor(random.below(200) / 10);
  }

  private appendBurst({ log }: Life): void {
    const { random } = this;
    const count = random.chance(0.1) ? random.between(20, 60) : random.between(1, 12);
    for (let i = 0; i < count; i++) this.append(log);
  }

  private append(log: CommitLog): void {
    const before = log.endPosition;
    const isMessage = this.random.chance(0.85);
    const message = isMessage ? this.message() : undefined;
    const end =
      message === undefined
        ? log.append(RECORD_TYPE.tick, 0, () => undefined, undefined)
        : log.append(RECORD_TYPE.message, messagePayloadBytes(message), writeMessage, message);
    const length = RECORD_HEADER_BYTES + (message === undefined ? 0 : messagePayloadBytes(message));
    const position = end - length;
    // The log begins a segment by a record of its own.
    if (position > before) this.remember(log, before, position - before);
    this.remember(log, position, length);
    this.counts.records++;
  }

  private appendEpochStart(log: CommitLog): void {
    const payload = { storeUid: log.storeUid, version: 'simulated' };
    const before = log.endPosition;
    const length = RECORD_HEADER_BYTES + epochStartBytes(payload);
    const end = log.append(RECORD_TYPE.epochStart, epochStartBytes(payload), writeEpochStart, payload);
    if (end - length > before) this.remember(log, before, end - length - before);
    this.remember(log, end - length, length);
  }

  private remember(log: CommitLog, position: number, length: number): void {
    const record = log.read(position, length);
    demand(record !== undefined && 'bytes' in record, () => 'what was just appended is not in memory');
    if (record !== undefined && 'bytes' in record) this.history.add(position, record.bytes);
  }

  private message(): ModelMessage {
    const { random } = this;
    const size = random.chance(0.03)
      ? random.below(this.policy.segmentBytes * 2)
      : random.below(random.chance(0.2) ? 3000 : 200);
    const filler = Buffer.alloc(size, random.below(3) * 80);
    // A body may look like anything, like a record's beginning too.
    if (size > 8 && random.chance(0.3)) filler.writeUInt32BE(RECORD_MAGIC, random.below(size - 4));
    for (let at = 0; at + 4 < size; at += 97) filler.writeUInt32BE(random.uint32(), at);
    return { queue: random.below(QUEUES), tagHash: random.uint32(), groupHash: random.below(2 ** 45), filler };
  }

  private async readSome({ log }: Life): Promise<void> {
    const { history, random } = this;
    if (history.records.length === 0) return;
    const first = random.below(history.records.length);
    const wanted = history.records.slice(first, first + random.between(1, 6)).filter(() => random.chance(0.8));
    const check = (found: Awaited<ReturnType<CommitLog['read']>>, known: (typeof wanted)[number]) => {
      if (found !== undefined) demand(found.bytes.equals(known.bytes), () => `${known.position} reads as other bytes`);
      else demand(known.position < log.startPosition, () => `${known.position} is gone`);
    };
    const many = log.readMany(wanted);
    const found = many instanceof Promise ? await this.scheduler.settle(many) : many;
    wanted.forEach((known, i) => {
      check(found[i], known);
    });
    for (const known of wanted) {
      const one = log.read(known.position, known.length);
      check(one instanceof Promise ? await this.scheduler.settle(one) : one, known);
    }
  }

  private async askIndex({ log, engine }: Life): Promise<void> {
    const { random, history } = this;
    const queue = random.below(QUEUES);
    const from = random.below(history.records.length / QUEUES + 2);
    const count = random.between(1, 20);
    const position = random.below(history.end + 1);
    const settle = async <T extends object | number>(answer: T | Promise<T>) =>
      answer instanceof Promise ? this.scheduler.settle(answer) : answer;
    /** Messages may be committed and segments go while an answer is on its way: it may be right for before or after. */
    const ask = async <T extends object | number>(
      what: string,
      question: (queueEnd: number) => T | Promise<T>,
      naive: (kept: readonly IndexEntry[], queueEnd: number) => T,
    ) => {
      const before = history.entries(queue, engine.position);
      const startBefore = log.startPosition;
      const answer = JSON.stringify(await settle(question(before.length)));
      const after = history.entries(queue, engine.position);
      const fits = [before, after].some((all) =>
        [startBefore, log.startPosition].some((start) => {
          const kept = all.filter((entry) => entry.position >= start);
          return JSON.stringify(naive(kept, before.length)) === answer;
        }),
      );
      demand(fits, () => `queue ${queue}: ${what} is answered ${answer}`);
    };
    await ask(
      `${count} entries from ${from}`,
      () => log.entries(queue, from, count),
      (kept) => kept.filter((entry) => entry.queueOffset >= from).slice(0, count),
    );
    await ask(
      'the least offset',
      (queueEnd) => log.minOffset(queue, queueEnd),
      (kept, queueEnd) => kept[0]?.queueOffset ?? queueEnd,
    );
    await ask(
      `the offset at ${position}`,
      (queueEnd) => log.offsetAtPosition(queue, position, queueEnd),
      (kept, queueEnd) => kept.find((entry) => entry.position >= position)?.queueOffset ?? queueEnd,
    );
  }

  private async retain({ log }: Life): Promise<void> {
    const before = log.startPosition;
    await this.scheduler.settle(log.retain());
    if (log.startPosition > before) this.counts.removedSegments++;
  }

  /** While the disk is full clients are refused; when it has room again all goes on, with nothing lost. */
  private async fillDisk(life: Life): Promise<void> {
    const { disk, scheduler, random } = this;
    const { log } = life;
    disk.capacityBytes = disk.usedBytes() + random.below(this.policy.reserveBytes);
    // Files that come and go in the background may make room and take it meanwhile.
    let wasAlwaysShort = true;
    for (let i = 0; i < 22 && log.refusal() === undefined; i++) {
      await scheduler.runFor(50);
      wasAlwaysShort &&= disk.freeBytes() < this.policy.reserveBytes;
    }
    demand(log.refusal() !== undefined || !wasAlwaysShort, () => 'a full disk is no reason to refuse');
    // A call that failed before may be found out only now, and a log that has failed takes nothing.
    if (log.failure !== undefined && this.disturbed) return;
    this.appendBurst(life);
    await scheduler.runFor(random.below(3000));
    disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await scheduler.runFor(2500);
    if (log.failure !== undefined && this.disturbed) return;
    demand(log.failure === undefined, () => `a full disk made the log fail: ${log.failure?.message}`);
    demand(log.refusal() === undefined, () => `still refused with room: ${log.refusal()}`);
    this.counts.fullDisks++;
    await this.everythingBecomesDurable(life);
  }

  /** A write or sync that fails stops the log for good; it never says that what was under way is durable. */
  private async failDisk(life: Life): Promise<void> {
    const { disk, random, scheduler } = this;
    disk.faults[random.pick(['write', 'sync'] as const)] = 0.5;
    this.appendBurst(life);
    await scheduler.runFor(random.below(50));
    disk.faults.write = 0;
    disk.faults.sync = 0;
    this.disturbed = true;
    if (life.log.failure !== undefined) {
      this.counts.failures++;
      demand(life.log.refusal() !== undefined, () => 'a failed log refuses nothing');
    }
  }

  private async everythingBecomesDurable({ log, engine }: Life): Promise<void> {
    const end = log.endPosition;
    await this.scheduler.runUntil(() => log.durablePosition >= end || log.failure !== undefined, 60_000);
    demand(log.failure === undefined, () => `the log failed without a reason: ${log.failure}`);
    demand(engine.position === end, () => 'what is durable was not all applied');
  }

  /** Ends a life in one of four ways. True when the story is over. */
  private async end({ log, process }: Life): Promise<boolean> {
    const { random, scheduler } = this;
    if (random.chance(0.5)) await scheduler.runFor(random.below(30) / 10);
    this.promised = Math.max(this.promised, log.durablePosition);
    const choice = random.below(10);
    if (choice < 6) this.powerCut(process);
    else if (choice < 8) {
      this.written = log.writtenPosition;
      process.kill();
      this.disk.killProcess();
      this.counts.crashes++;
    } else {
      await scheduler.settle(log.close());
      // A call that failed before may be found out only now.
      const isWhole = log.failure === undefined;
      demand(isWhole || this.disturbed, () => `the log failed without a reason: ${log.failure}`);
      if (isWhole) this.promised = log.endPosition;
      process.kill();
      if (choice === 9 && isWhole) {
        if (random.chance(0.5)) this.powerCut(process);
        await this.rot();
        return true;
      }
    }
    return false;
  }

  private powerCut(process: SimulatedProcess): void {
    process.kill();
    this.written = 0;
    this.disk.crash();
    this.counts.crashes++;
  }

  /** A bit changes in a closed log: whoever meets it is told where, and nobody is given wrong bytes or fewer. */
  private async rot(): Promise<void> {
    const paths = this.disk.paths().filter((path) => !path.endsWith('.prepared'));
    const path = this.random.pick(paths);
    const sectors = this.disk.sectorsOf(path)!;
    if (sectors.sizeBytes === 0) return;
    sectors.flipBit(this.random.below(sectors.sizeBytes), this.random.below(8));
    const { scheduler, history } = this;
    const process = new SimulatedProcess(scheduler);
    try {
      const { log, engine } = await scheduler.settle(this.open(process));
      for (const known of history.records) {
        if (known.position < log.startPosition) continue;
        const read = log.read(known.position, known.length);
        const found = read instanceof Promise ? await scheduler.settle(read) : read;
        demand(
          found !== undefined && withoutChain(found.bytes).equals(withoutChain(known.bytes)),
          () => `rot in ${path} changed or hid ${known.position}`,
        );
      }
      for (let i = 0; i < 8; i++) await this.askIndex({ log, engine, process });
    } catch (error) {
      if (!(error instanceof CorruptLogError)) throw error;
      demand(error.file === path, () => `rot in ${path} was blamed on ${error.file}`);
      this.counts.damages++;
    }
  }
}

/** The chain ties records together when they are read in order; a record that is read alone does not prove it. */
function withoutChain(record: Buffer): Buffer {
  const copy = Buffer.from(record);
  copy.fill(0, 36, 40);
  return copy;
}

export function randomPolicy(random: SeededRandom): LogPolicy {
  const segmentBytes = random.between(1, 16) * 1024;
  return {
    flush: random.chance(0.7) ? 'sync' : 'async',
    flushIntervalMs: random.between(5, 300),
    segmentBytes,
    segmentRecords: random.between(3, 60),
    retentionMs: random.pick([500, 5000, 1_000_000]),
    retentionBytes: segmentBytes * random.between(1, 8),
    reserveBytes: 8 * 1024,
  };
}

export function randomTuning(random: SeededRandom): LogTuning {
  return {
    recordBytesMax: RECORD_BYTES_MAX,
    batchBytes: random.between(1, 16) * 1024,
    tailCacheBytes: random.between(4, 32) * 1024,
    tailChunkBytes: random.between(1, 4) * 1024,
    preparePieceBytes: random.pick([512, 1000, 4096]),
    prepareAheadBytes: random.between(1, 16) * 1024,
    indexCacheBytes: random.pick([0, 500, 50_000]),
    chainLinksMax: random.pick([1, 6, 1000]),
    standStillShare: 0.5,
    scanWindowBytes: random.pick([64, 700, 4096]),
  };
}
