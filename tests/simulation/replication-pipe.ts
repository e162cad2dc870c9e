// One direction of a simulated connection: what is put in comes out in the same order, later, once, or never; never
// with a gap. While the way is cut everything waits, and nobody is told.
import type { Scheduler, SimulatedProcess } from './scheduler.ts';

export interface Way {
  readonly scheduler: Scheduler;
  readonly sender: SimulatedProcess;
  readonly receiver: SimulatedProcess;
  delayMs(): number;
  /** Whether the network swallows what travels this way at the moment. */
  isCut(): boolean;
  isCutBackwards(): boolean;
}

interface Parcel {
  readonly dueMs: number;
  readonly bytes: number;
  readonly arrive: () => void;
}

interface Waiting {
  readonly bytes: number;
  readonly arrive: () => void;
}

interface Credit {
  readonly dueMs: number;
  readonly bytes: number;
}

/** What is under way at most before the sender has to wait for the receiver; one message may exceed it. */
const WINDOW_BYTES = 1024 * 1024;

export class Pipe {
  /** Bytes that the network has not taken yet. */
  waitingBytes = 0;
  /** Runs each time the network has taken everything. */
  onDrain: (() => void) | undefined;
  private readonly way: Way;
  private waiting: Waiting[] = [];
  private flying: Parcel[] = [];
  private flyingBytes = 0;
  /** Read by the receiver, which the sender has not heard of because the way back is cut. */
  private unheardBytes = 0;
  /** Read by the receiver; the sender hears of it when it is due, and looks when it has something to send. */
  private readonly credits: Credit[] = [];
  private lastDueMs = 0;
  private pumping = false;
  private scheduled = false;
  private stalled = false;
  private closed = false;

  constructor(way: Way) {
    this.way = way;
  }

  send(bytes: number, arrive: () => void): void {
    if (this.closed) return;
    this.waiting.push({ bytes, arrive });
    this.waitingBytes += bytes;
    this.pumpSoon();
  }

  /** Says something last, past everything that the network has not taken; that is lost. */
  cutOff(loseFlying: boolean, arrive: () => void): void {
    if (this.closed) return;
    this.waiting = [];
    if (loseFlying) this.flying = [];
    this.fly(0, arrive);
  }

  close(): void {
    this.closed = true;
    this.waiting = [];
    this.flying = [];
    this.waitingBytes = 0;
  }

  /** Whether something waits because the network is cut. */
  get isStalled(): boolean {
    return this.stalled || this.unheardBytes > 0;
  }

  /** To be called when the network is whole again. */
  retry(): void {
    if (this.closed) return;
    if (this.stalled) {
      this.stalled = false;
      this.schedule();
    }
    const heard = this.unheardBytes;
    this.unheardBytes = 0;
    if (heard > 0) this.credit(heard);
  }

  private pumpSoon(): void {
    if (this.pumping) return;
    this.pumping = true;
    this.way.sender.soon(() => this.pump());
  }

  private pump(): void {
    this.pumping = false;
    this.hear();
    while (this.waiting.length > 0 && this.flyingBytes < WINDOW_BYTES) {
      const { bytes, arrive } = this.waiting.shift()!;
      this.waitingBytes -= bytes;
      this.flyingBytes += bytes;
      this.fly(bytes, arrive);
      if (this.waiting.length === 0) this.onDrain?.();
    }
    if (this.waiting.length > 0) this.wakeForCredit();
  }

  private hear(): void {
    const { nowMs } = this.way.scheduler;
    while (this.credits.length > 0 && this.credits[0]!.dueMs <= nowMs) this.flyingBytes -= this.credits.shift()!.bytes;
  }

  private wakeForCredit(): void {
    const [first] = this.credits;
    const { scheduler, sender } = this.way;
    if (first !== undefined)
      scheduler.after(first.dueMs - scheduler.nowMs, () => sender.deliver(() => this.pumpSoon()));
  }

  private fly(bytes: number, arrive: () => void): void {
    this.lastDueMs = Math.max(this.lastDueMs, this.way.scheduler.nowMs + this.way.delayMs());
    this.flying.push({ dueMs: this.lastDueMs, bytes, arrive });
    if (!this.stalled) this.schedule();
  }

  private schedule(): void {
    const [first] = this.flying;
    if (this.scheduled || first === undefined) return;
    this.scheduled = true;
    const { scheduler, receiver } = this.way;
    scheduler.after(first.dueMs - scheduler.nowMs, () => receiver.deliver(() => this.arrive()));
  }

  private arrive(): void {
    this.scheduled = false;
    const [first] = this.flying;
    if (first === undefined) return;
    if (this.way.isCut()) {
      this.stalled = true;
      return;
    }
    this.flying.shift();
    this.schedule();
    if (first.bytes > 0) this.consumed(first.bytes);
    first.arrive();
  }

  private consumed(bytes: number): void {
    if (this.way.isCutBackwards()) this.unheardBytes += bytes;
    else this.credit(bytes);
  }

  private credit(bytes: number): void {
    const earlierMs = this.credits.at(-1)?.dueMs ?? 0;
    this.credits.push({ dueMs: Math.max(earlierMs, this.way.scheduler.nowMs + this.way.delayMs()), bytes });
    if (this.waiting.length > 0) this.wakeForCredit();
  }
}
