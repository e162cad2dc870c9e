// Watches any one NameServer and turns to the next when it fails, falls silent, or does not answer at all. Every minute
// it reads everything anew, so that no lost event does harm for longer, and it looks up the names again. It never says
// "nothing is there" because nobody answers: whoever listens keeps what it knows.
import type {
  ConnectNameServer,
  NameServerConnection,
  ResolveAddresses,
  WatchEvent,
} from '@fulmar/core/name-service.ts';
import { NAME_SERVICE } from '@fulmar/core/name-service.ts';
import type { Clock, Logger, Random, Timer, Timers } from '@fulmar/core/ports.ts';

export interface FollowerParts {
  readonly resolve: ResolveAddresses;
  readonly connect: ConnectNameServer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Logger;
}

export interface FollowerListener {
  /** A stream has begun to tell everything. */
  onBegin(): void;
  onEvent(event: WatchEvent): void;
}

const FIRST_ANSWER_MS = 3_000;
const READ_ANEW_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export class NameServerFollower {
  readonly #parts: FollowerParts;
  readonly #listener: FollowerListener;
  #addresses: readonly string[] = [];
  #next = 0;
  /** NameServers tried in a row without an answer. */
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #connection: NameServerConnection | undefined;
  #stream: { readonly cancel: () => void } | undefined;
  #timer: Timer | undefined;
  #heardMs = 0;
  #readAnewMs = 0;
  #answered = false;
  #lastProblem = '';
  #closed = false;

  constructor(parts: FollowerParts, listener: FollowerListener) {
    this.#parts = parts;
    this.#listener = listener;
    void this.#resolve();
  }

  /** Whether a NameServer is answering at the moment. */
  get connected(): boolean {
    return this.#answered;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#leave();
  }

  async #resolve(): Promise<void> {
    await this.#lookUp();
    if (this.#closed) return;
    if (this.#addresses.length === 0) {
      this.#pause();
      return;
    }
    // Each proxy begins at another one, so that the NameServers share the work.
    this.#next = this.#parts.random.uint32() % this.#addresses.length;
    this.#failures = 0;
    this.#connect();
  }

  /** Names move: the addresses of the next try are those of now, or the last known while there are none. */
  async #lookUp(): Promise<void> {
    try {
      const addresses = await this.#parts.resolve();
      if (addresses.length > 0) this.#addresses = addresses;
      this.#lastProblem = '';
    } catch (problem) {
      const reason = problem instanceof Error ? problem.message : String(problem);
      if (reason !== this.#lastProblem) {
        this.#parts.log.warn('the addresses of the NameServers are not known', { reason });
      }
      this.#lastProblem = reason;
    }
  }

  #connect(): void {
    const address = this.#addresses[this.#next % this.#addresses.length]!;
    this.#connection = this.#parts.connect(address);
    this.#watch(address);
  }

  #watch(address: string): void {
    this.#answered = false;
    this.#heardMs = this.#parts.clock.monotonicMs();
    let began = false;
    const isCurrent = (): boolean => this.#stream === stream;
    const stream = { cancel: () => call.cancel() };
    this.#stream = stream;
    const call = this.#connection!.watch({
      onEvent: (event) => {
        if (!isCurrent()) return;
        this.#heardMs = this.#parts.clock.monotonicMs();
        if (!began) {
          began = true;
          this.#onAnswer(address);
        }
        this.#listener.onEvent(event);
      },
      onEnd: (reason) => {
        if (isCurrent()) this.#fail(address, reason);
      },
    });
    this.#guard(address);
  }

  #onAnswer(address: string): void {
    this.#answered = true;
    this.#failures = 0;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#readAnewMs = this.#heardMs + READ_ANEW_MS * this.#jitter();
    this.#parts.log.debug('reading routes from a NameServer', { address });
    this.#listener.onBegin();
  }

  /** Looks after the stream: a silent one is given up, an old one is read anew. */
  #guard(address: string): void {
    this.#timer?.cancel();
    const nowMs = this.#parts.clock.monotonicMs();
    const silentMs = this.#heardMs + (this.#answered ? NAME_SERVICE.silenceMs : FIRST_ANSWER_MS);
    if (nowMs >= silentMs) {
      this.#fail(address, 'it did not answer');
      return;
    }
    if (this.#answered && nowMs >= this.#readAnewMs) {
      void this.#lookUp();
      this.#stream?.cancel();
      this.#watch(address);
      return;
    }
    const untilMs = this.#answered ? Math.min(silentMs, this.#readAnewMs) : silentMs;
    this.#timer = this.#parts.timers.after(untilMs - nowMs, () => this.#guard(address));
  }

  #fail(address: string, reason: string): void {
    if (this.#answered) this.#parts.log.warn('lost the NameServer', { address, reason });
    this.#leave();
    // Beside the next try: that need not wait for a slow answer.
    void this.#lookUp();
    this.#next++;
    this.#failures++;
    if (this.#failures < this.#addresses.length) {
      this.#connect();
      return;
    }
    this.#parts.log.warn('no NameServer answers; the last known routes are kept', { reason });
    this.#pause();
  }

  #leave(): void {
    this.#timer?.cancel();
    this.#answered = false;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #pause(): void {
    const delayMs = this.#pauseMs * this.#jitter();
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#timer = this.#parts.timers.after(delayMs, () => void this.#resolve());
  }

  /** From a half to one, so that proxies do not act in step. */
  #jitter(): number {
    return 0.5 + this.#parts.random.uint32() / 2 ** 33;
  }
}
