// The proxy's end of the data plane: a BrokerApi whose calls travel in batches over one stream to one broker. The
// stream comes back by itself after it broke. Until then calls fail at once, and those under way fail with what is
// known about them: never sent (HA_NOT_AVAILABLE), or sent and without an answer, so that nobody knows (PROXY_TIMEOUT).
import type { PopCall, PopCommand, PopResult } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { NumberMap } from '@fulmar/core/number-map.ts';
import type { Clock, Logger, Random, Timer, Timers } from '@fulmar/core/ports.ts';
import { BatchWriter, readBatch } from '@fulmar/runtime/batch-writer.ts';
import { decodeReply } from '@fulmar/runtime/data-plane/decode-reply.ts';
import { encodeCall } from '@fulmar/runtime/data-plane/encode-call.ts';
import { type BrokerCall, type BrokerReply, OPEN } from '@fulmar/runtime/data-plane/messages.ts';
import { connectGrpc, type DuplexCall, type GrpcClient, type GrpcClientOptions } from '@fulmar/runtime/grpc-client.ts';
import type { RpcFailure } from '@fulmar/runtime/rpc.ts';
import { brokerApiOver } from './broker-api-calls.ts';
import type { BrokerConnection as Connection } from './broker-links.ts';

export interface BrokerConnectionOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Called when `reachable` is different. */
  readonly onChange?: () => void;
  /** Asked for each try to connect; plaintext if absent. */
  readonly tls?: () => GrpcClientOptions['tls'];
  /** How long a call may take; a pop may take its own wait on top. */
  readonly callTimeoutMs?: number;
  /** Bytes of calls that may wait for the network. */
  readonly pendingBytes?: number;
  /** Calls without an answer so far, waiting pops included. */
  readonly pendingCalls?: number;
}

export type BrokerConnectionState = 'connecting' | 'ready' | 'waiting' | 'closed';

export interface BrokerConnection extends Connection {
  readonly address: string;
  /** `waiting`: the last attempt failed, the next one comes soon. */
  readonly state: BrokerConnectionState;
}

const CALL_TIMEOUT_MS = 5_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2_000;
/** How exactly deadlines are kept. */
const SWEEP_MS = 100;
/** Answers are not as bounded as messages: the list of all topics is one. */
const REPLY_BYTES = 64 * 1024 * 1024;
const WINDOW_BYTES = 8 * 1024 * 1024;
/** Room for the frame around a call. */
const FRAME_SLACK_BYTES = 1024;

const NOT_CONNECTED = fault('HA_NOT_AVAILABLE', 'The broker cannot be reached at the moment. Repeat the request.');
const UNKNOWN_OUTCOME = fault(
  'PROXY_TIMEOUT',
  'The connection to the broker broke; whether the request took effect is not known. Repeat it if that does no harm.',
);
const LATE = fault(
  'PROXY_TIMEOUT',
  'The broker did not answer in time, so whether the request took effect is not known. Repeat it if that does no harm.',
);
const TOO_MUCH = fault('TOO_MANY_REQUESTS', 'Too many requests wait for this broker. Repeat later.');
const TOO_LARGE = fault('PAYLOAD_TOO_LARGE', 'The request is larger than a broker takes. Send less at once.');

interface Pending {
  readonly deadlineMs: number;
  /** Only for pops: what to give back if an answer comes after all. */
  readonly pop: PopCommand | undefined;
  readonly resolve: (reply: BrokerReply) => void;
}

/** Begins to connect at once. */
export function connectBroker(address: string, options: BrokerConnectionOptions): BrokerConnection {
  const calls = new BrokerCalls(address, options);
  return {
    address,
    get state() {
      return calls.state;
    },
    get reachable() {
      return calls.reachable;
    },
    reconnect: () => calls.reconnect(),
    close: () => calls.close(),
    ...brokerApiOver(
      (call) => calls.call(call),
      (command) => calls.pop(command),
    ),
  };
}

class BrokerCalls {
  state: BrokerConnectionState = 'connecting';
  readonly #address: string;
  readonly #options: BrokerConnectionOptions;
  #client: GrpcClient | undefined;
  #stream: DuplexCall<Buffer> | undefined;
  #writer: BatchWriter | undefined;
  #nextId = 1;
  readonly #pending = new NumberMap<Pending>();
  /** Pops that were given up here and not yet answered there. */
  readonly #abandoned = new Map<number, PopCommand>();
  #failures = 0;
  #retry: Timer | undefined;
  #sweep: Timer | undefined;

  constructor(address: string, options: BrokerConnectionOptions) {
    this.#address = address;
    this.#options = options;
    this.#open();
  }

  /** Calls that are made while the first attempt is under way leave as soon as it succeeds. */
  get reachable(): boolean {
    return this.#failures === 0 && this.state !== 'closed';
  }

  reconnect(): void {
    if (this.state !== 'waiting') return;
    this.#retry?.cancel();
    this.#open();
  }

  #open(): void {
    this.state = 'connecting';
    // A new one for each try: it knocks at once, and shows the certificate of now.
    this.#client?.close();
    this.#client = connectGrpc(this.#address, {
      receiveBytes: REPLY_BYTES,
      windowBytes: WINDOW_BYTES,
      pingMs: 5_000,
      pingAnswerMs: 5_000,
      exactFlush: true,
      tls: this.#options.tls?.() ?? 'off',
    });
    const stream = this.#client.duplex(OPEN, {
      onHeaders: () => {
        if (this.#stream !== stream) return;
        const isBack = !this.reachable;
        this.state = 'ready';
        this.#failures = 0;
        writer.start();
        if (isBack) this.#options.onChange?.();
      },
      onMessage: (frame) => this.#onFrame(frame),
      onEnd: (failure) => {
        if (this.#stream === stream) this.#onBroken(failure);
      },
    });
    const writer = new BatchWriter((frame, flushed) => stream.write(frame, flushed), true);
    this.#stream = stream;
    this.#writer = writer;
  }

  #onFrame(frame: Buffer): void {
    try {
      readBatch(frame, (entry) => {
        const { id, reply } = decodeReply(entry);
        if (reply !== undefined) this.#onReply(id, reply);
      });
    } catch (error) {
      this.#options.logger.error('a frame of a broker could not be read', {
        broker: this.#address,
        error: String(error),
      });
      this.#stream?.cancel();
    }
  }

  #onReply(id: number, reply: BrokerReply): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      this.#pending.delete(id);
      pending.resolve(reply);
      return;
    }
    const command = this.#abandoned.get(id);
    this.#abandoned.delete(id);
    if (command === undefined || reply.kind !== 'pop' || reply.messages.length === 0) return;
    const receiptHandles = reply.messages.map((message) => message.receiptHandle);
    void this.call({
      method: 'release',
      command: { group: command.group, topic: command.topic, receiptHandles },
    });
  }

  #onBroken(failure: RpcFailure | undefined): void {
    this.#stream = undefined;
    this.#fail();
    const wasReachable = this.reachable;
    const ceiling = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    // Half to whole, so that proxies that lost a broker together do not come back together.
    const delayMs = (ceiling / 2) * (1 + this.#options.random.uint32() / 2 ** 32);
    this.state = 'waiting';
    this.#options.logger.info('the stream to a broker broke', {
      broker: this.#address,
      reason: failure?.message ?? 'ended by the broker',
      retryMs: Math.round(delayMs),
    });
    this.#retry = this.#options.timers.after(delayMs, () => this.#open());
    if (wasReachable) this.#options.onChange?.();
  }

  /** Fails everything that is under way. */
  #fail(): void {
    const writer = this.#writer;
    this.#writer = undefined;
    this.#abandoned.clear();
    // First those that never left, by their own callbacks; the others are the rest.
    writer?.close();
    const rest = this.#pending.values();
    this.#pending.clear();
    for (const pending of rest) pending.resolve({ kind: 'fault', fault: UNKNOWN_OUTCOME });
  }

  call(call: BrokerCall): Promise<BrokerReply> {
    return new Promise((resolve) => {
      const waitMs = call.method === 'pull' ? call.command.waitMs : 0;
      this.#start(call, undefined, waitMs + (this.#options.callTimeoutMs ?? CALL_TIMEOUT_MS), resolve);
    });
  }

  pop(command: PopCommand): PopCall {
    let cancel = () => {};
    const result = new Promise<PopResult>((resolve) => {
      const finish = (reply: BrokerReply) => {
        if (reply.kind === 'pop') resolve({ value: reply.messages });
        else resolve({ fault: reply.kind === 'fault' ? reply.fault : NOT_CONNECTED });
      };
      const timeoutMs = command.waitMs + (this.#options.callTimeoutMs ?? CALL_TIMEOUT_MS);
      const id = this.#start({ method: 'pop', command }, command, timeoutMs, finish);
      cancel = () => {
        if (id === undefined || !this.#pending.has(id)) return;
        this.#abandon(id, command);
        finish({ kind: 'pop', messages: [] });
      };
    });
    return { result, cancel: () => cancel() };
  }

  #start(
    call: BrokerCall,
    pop: PopCommand | undefined,
    timeoutMs: number,
    resolve: (reply: BrokerReply) => void,
  ): number | undefined {
    const refuse = (refused: Fault) => {
      resolve({ kind: 'fault', fault: refused });
      return undefined;
    };
    const writer = this.#writer;
    if (writer === undefined) return refuse(NOT_CONNECTED);
    if (this.#pending.size >= (this.#options.pendingCalls ?? LIMITS.waitersTotal)) return refuse(TOO_MUCH);
    const id = this.#nextId++;
    const entry = encodeCall(id, call);
    // A frame that the broker refuses would take the stream, and everybody's calls, with it.
    if (entry.length > LIMITS.grpcReceiveBytes - FRAME_SLACK_BYTES) return refuse(TOO_LARGE);
    const pendingMax = this.#options.pendingBytes ?? LIMITS.inFlightRequestBytes;
    if (writer.pendingBytes + entry.length > pendingMax) return refuse(TOO_MUCH);
    this.#pending.set(id, { deadlineMs: this.#options.clock.monotonicMs() + timeoutMs, pop, resolve });
    writer.add(entry, () => {
      if (this.#pending.delete(id)) resolve({ kind: 'fault', fault: NOT_CONNECTED });
    });
    this.#sweep ??= this.#options.timers.after(SWEEP_MS, () => this.#onSweep());
    return id;
  }

  #abandon(id: number, command: PopCommand): void {
    this.#pending.delete(id);
    this.#abandoned.set(id, command);
    this.#writer?.add(encodeCall(this.#nextId++, { method: 'cancel', callId: id }));
  }

  #onSweep(): void {
    this.#sweep = undefined;
    const nowMs = this.#options.clock.monotonicMs();
    for (const [id, pending] of this.#pending.entries()) {
      if (pending.deadlineMs > nowMs) continue;
      this.#pending.delete(id);
      if (pending.pop !== undefined) this.#abandon(id, pending.pop);
      pending.resolve({ kind: 'fault', fault: LATE });
    }
    if (this.#pending.size > 0) this.#sweep = this.#options.timers.after(SWEEP_MS, () => this.#onSweep());
  }

  close(): void {
    if (this.state === 'closed') return;
    const stream = this.#stream;
    this.#stream = undefined;
    this.#retry?.cancel();
    this.#fail();
    this.#sweep?.cancel();
    this.state = 'closed';
    stream?.cancel();
    this.#client?.close();
  }
}
