// One broker's registration at one NameServer: keeps a stream open, tells everything on a new one and changes after
// that, sends heartbeats, and begins anew with growing pauses when the stream ends or the NameServer falls silent.
import { takeFrame } from '@fulmar/core/frames.ts';
import type { BrokerTopic, ConnectNameServer, NameServerConnection, RegisterCall } from '@fulmar/core/name-service.ts';
import { NAME_SERVICE } from '@fulmar/core/name-service.ts';
import type { Clock, Logger, Random, Timer, Timers } from '@fulmar/core/ports.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';

/** What there is to tell. Asked at the moment of telling, so that only the newest is told. */
export interface RegistrationSource {
  /** Undefined while the broker is neither master nor slave: it is not registered then. */
  entry(): BrokerEntry | undefined;
  topicNames(): Iterable<string>;
  topic(name: string): BrokerTopic | undefined;
}

export interface LinkParts {
  readonly connect: ConnectNameServer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Logger;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

export class RegistrationLink {
  readonly address: string;
  readonly #parts: LinkParts;
  readonly #source: RegistrationSource;
  readonly #onRegistered: () => void;
  readonly #waiting = new Set<string>();
  #connection: NameServerConnection | undefined;
  #call: RegisterCall | undefined;
  #timer: Timer | undefined;
  #flushIsDue = false;
  #blocked = false;
  /** The full report of this stream has not been finished. */
  #filling = false;
  #entryIsDue = false;
  #heardMs = 0;
  #registered = false;
  #pauseMs = FIRST_PAUSE_MS;
  #closed = false;

  constructor(address: string, source: RegistrationSource, parts: LinkParts, onRegistered: () => void) {
    this.address = address;
    this.#source = source;
    this.#onRegistered = onRegistered;
    this.#parts = parts;
    this.#open();
  }

  get registered(): boolean {
    return this.#registered;
  }

  topicsChanged(names: Iterable<string>): void {
    if (this.#call === undefined) return;
    for (const name of names) this.#waiting.add(name);
    this.#flushSoon();
  }

  entryChanged(): void {
    if (this.#call === undefined) {
      if (this.#timer === undefined) this.#open();
      return;
    }
    this.#entryIsDue = true;
    // A change of role is told now: proxies wait for a new master.
    this.#flush();
  }

  /** Says goodbye, so that the NameServer drops the broker at once. */
  close(): void {
    this.#closed = true;
    this.#leave();
  }

  #open(): void {
    if (this.#closed || this.#source.entry() === undefined) return;
    const connection = this.#parts.connect(this.address);
    const isCurrent = (): boolean => this.#connection === connection;
    this.#connection = connection;
    this.#waiting.clear();
    for (const name of this.#source.topicNames()) this.#waiting.add(name);
    this.#blocked = false;
    this.#filling = true;
    this.#entryIsDue = true;
    this.#heardMs = this.#parts.clock.monotonicMs();
    this.#call = connection.register({
      onReply: () => {
        if (isCurrent()) this.#onReply();
      },
      onDrain: () => {
        if (!isCurrent()) return;
        this.#blocked = false;
        this.#flush();
      },
      onEnd: (reason) => {
        if (isCurrent()) this.#fail(reason);
      },
    });
    this.#flush();
    this.#beat();
  }

  #onReply(): void {
    this.#heardMs = this.#parts.clock.monotonicMs();
    if (this.#registered || this.#filling) return;
    this.#registered = true;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#parts.log.info('registered at a NameServer', { address: this.address });
    this.#onRegistered();
  }

  #flushSoon(): void {
    if (this.#flushIsDue) return;
    this.#flushIsDue = true;
    this.#parts.timers.soon(() => {
      this.#flushIsDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    const entry = this.#source.entry();
    if (entry === undefined) {
      this.#leave();
      return;
    }
    while (this.#call !== undefined && !this.#blocked && (this.#waiting.size > 0 || this.#entryIsDue)) {
      const frame = takeFrame(this.#waiting, (name) => this.#source.topic(name), bytesOf);
      const more = this.#filling && this.#waiting.size > 0;
      const broker = this.#entryIsDue ? { broker: entry } : {};
      this.#filling = more;
      this.#entryIsDue = false;
      this.#blocked = !this.#call.send({ ...broker, putTopics: frame.put, deletedTopics: frame.deleted, more });
    }
  }

  #beat(): void {
    this.#timer = this.#parts.timers.after(NAME_SERVICE.heartbeatMs, () => {
      if (this.#parts.clock.monotonicMs() - this.#heardMs >= NAME_SERVICE.silenceMs) {
        this.#call?.cancel();
        this.#fail('it did not answer');
        return;
      }
      // A stream that takes nothing at the moment is still busy with an earlier report, which counts as a heartbeat.
      if (!this.#blocked) {
        const sent = this.#call!.send({ putTopics: [], deletedTopics: [], more: this.#filling });
        this.#blocked = !sent;
      }
      this.#beat();
    });
  }

  /** The broker is nobody at the moment: the NameServer is told so by the end of the stream. */
  #leave(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#call?.finish();
    this.#connection?.close();
    this.#call = undefined;
    this.#connection = undefined;
    this.#registered = false;
  }

  #fail(reason: string): void {
    this.#timer?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
    this.#call = undefined;
    if (this.#registered) this.#parts.log.warn('lost the stream to a NameServer', { address: this.address, reason });
    else this.#parts.log.debug('no stream to a NameServer', { address: this.address, reason });
    this.#registered = false;
    // Between half of the pause and all of it, so that brokers do not come back in step.
    const delayMs = this.#pauseMs * (0.5 + this.#parts.random.uint32() / 2 ** 33);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#timer = this.#parts.timers.after(delayMs, () => {
      this.#timer = undefined;
      this.#open();
    });
  }
}

function bytesOf(topic: BrokerTopic): number {
  return (topic.placement?.sets ?? []).reduce((bytes, set) => bytes + set.length + 2, topic.name.length + 32);
}
