// The broker's end of the data plane: takes calls off a proxy's stream, carries them out on the BrokerApi, and sends
// the results back in the order in which they come to be. Popped messages whose answer cannot leave are given back at
// once; those whose answer may have been lost with the stream stay with their push consumer for a bounded time only.
import type { BrokerApi, PopCall, PopCommand, PoppedMessage } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, faultOf, type Outcome } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { NumberMap } from '@fulmar/core/number-map.ts';
import type { Clock, Logger } from '@fulmar/core/ports.ts';
import type { ScheduleDescription } from '@fulmar/core/schedule-api.ts';
import { BatchWriter, readBatch } from '@fulmar/runtime/batch-writer.ts';
import { decodeCall } from '@fulmar/runtime/data-plane/decode-call.ts';
import { encodeReply } from '@fulmar/runtime/data-plane/encode-reply.ts';
import { BROKER_DATA, type BrokerCall, type BrokerReply, OPEN } from '@fulmar/runtime/data-plane/messages.ts';
import { type DuplexPort, duplex, GRPC_STATUS, RAW, type ServiceBinding } from '@fulmar/runtime/rpc.ts';
import { RecentReceivers } from '../serve/recent-receivers.ts';

export interface DataPlaneOptions {
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Bytes of results that may wait for a proxy; beyond it pops are given back, and calls are no longer read. */
  readonly pendingResultBytes?: number;
}

export interface DataPlane {
  readonly binding: ServiceBinding;
  /** Takes no more calls, ends waiting pops, and ends each stream when its last result has left. */
  stop(): void;
}

const UNKNOWN_METHOD = fault('NOT_IMPLEMENTED', 'This broker is older than the proxy. Update the broker first.');
const SLOW_READER = fault('TOO_MANY_REQUESTS', 'The proxy does not read its results fast enough. Repeat later.');
const STOPPING = fault('HA_NOT_AVAILABLE', 'The broker is stopping. Repeat the request with another one.');

export function dataPlane(api: BrokerApi, options: DataPlaneOptions): DataPlane {
  const streams = new Set<ProxyStream>();
  let stopping = false;
  const open = duplex<Buffer, Buffer>((_call, port) => {
    const proxy = new ProxyStream(api, port, options);
    streams.add(proxy);
    port.onClose(() => {
      streams.delete(proxy);
      proxy.onClose();
    });
    if (stopping) proxy.stop();
  }, RAW);
  return {
    binding: { service: BROKER_DATA, methods: { [OPEN.name]: open } },
    stop: () => {
      stopping = true;
      for (const proxy of streams) proxy.stop();
    },
  };
}

/** The stream of one proxy. */
class ProxyStream {
  readonly #api: BrokerApi;
  readonly #port: DuplexPort<Buffer, Buffer>;
  readonly #logger: Logger;
  readonly #clock: DataPlaneOptions['clock'];
  readonly #pendingMax: number;
  readonly #results: BatchWriter;
  readonly #pops = new NumberMap<PopCall>();
  readonly #receivers = new RecentReceivers();
  /** Calls without a result so far, pops included. */
  #running = 0;
  #paused = false;
  #stopping = false;

  constructor(api: BrokerApi, port: DuplexPort<Buffer, Buffer>, options: DataPlaneOptions) {
    this.#api = api;
    this.#port = port;
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#pendingMax = options.pendingResultBytes ?? LIMITS.bufferedResponseBytes / 2;
    this.#results = new BatchWriter((frame, flushed) => port.write(frame, flushed));
    this.#results.onDrain(() => this.#onDrain());
    port.sendHeaders();
    port.onMessage((frame) => this.#onFrame(frame));
    port.onEnd(() => port.end());
  }

  stop(): void {
    this.#stopping = true;
    for (const pop of this.#pops.values()) pop.cancel();
    this.#endIfDone();
  }

  onClose(): void {
    for (const pop of this.#pops.values()) pop.cancel();
    this.#results.close();
    const doubtful = this.#receivers.all(this.#clock.monotonicMs());
    if (doubtful.length === 0) return;
    this.#api
      .reportClients({ proxyId: '', online: [], gone: [], doubtful, lost: [] })
      .catch((thrown) => this.#unexpected('reportClients', thrown));
  }

  #onFrame(frame: Buffer): void {
    try {
      readBatch(frame, (entry) => {
        const { id, call } = decodeCall(entry);
        this.#start(id, call);
      });
    } catch (error) {
      this.#logger.warn('a frame of a proxy could not be read', { error: String(error) });
      this.#port.fail(GRPC_STATUS.INVALID_ARGUMENT, 'The frame is not of the expected shape. Update proxy and broker.');
    }
  }

  #onDrain(): void {
    if (this.#paused) {
      this.#paused = false;
      this.#port.resume();
    }
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (!this.#stopping || this.#running > 0 || this.#results.pendingBytes > 0) return;
    this.#port.fail(GRPC_STATUS.UNAVAILABLE, 'The broker is stopping. Connect to another one.');
  }

  #start(id: number, call: BrokerCall | undefined): void {
    if (call?.method === 'cancel') {
      this.#pops.get(call.callId)?.cancel();
      return;
    }
    this.#running++;
    if (call === undefined) this.#reply(id, { kind: 'fault', fault: UNKNOWN_METHOD });
    else if (this.#stopping) this.#reply(id, { kind: 'fault', fault: STOPPING });
    else {
      const reply = call.method === 'pop' ? this.#pop(id, call.command) : this.#perform(id, call);
      reply.catch((thrown) => this.#reply(id, { kind: 'fault', fault: this.#unexpected(call.method, thrown) }));
    }
  }

  #reply(id: number, reply: BrokerReply, lost?: () => void): void {
    this.#running--;
    this.#results.add(encodeReply(id, reply), lost);
    if (this.#paused || this.#results.pendingBytes <= this.#pendingMax) return;
    this.#paused = true;
    this.#port.pause();
  }

  #perform(id: number, call: Simple): Promise<void> {
    // What comes with every message goes without the async function that serves all other calls.
    if (call.method === 'send') {
      return this.#api.send(call.command).then((results) => this.#reply(id, { kind: 'send', results }));
    }
    return perform(this.#api, call).then((reply) => this.#reply(id, reply));
  }

  async #pop(id: number, command: PopCommand): Promise<void> {
    const call = this.#api.pop(command);
    this.#pops.set(id, call);
    const result = await call.result.finally(() => this.#pops.delete(id));
    if (result.fault !== undefined) {
      this.#reply(id, { kind: 'fault', fault: result.fault });
      return;
    }
    const messages = result.value;
    if (messages.length > 0 && this.#results.pendingBytes > this.#pendingMax) {
      this.#giveBack(command, messages);
      this.#reply(id, { kind: 'fault', fault: SLOW_READER });
      return;
    }
    if (command.autoRenew && messages.length > 0) this.#receivers.note(command.clientId, this.#clock.monotonicMs());
    this.#reply(id, { kind: 'pop', messages }, () => this.#giveBack(command, messages));
  }

  #giveBack(command: PopCommand, messages: readonly PoppedMessage[]): void {
    if (messages.length === 0) return;
    const receiptHandles = messages.map((message) => message.receiptHandle);
    this.#api
      .release({ group: command.group, topic: command.topic, receiptHandles })
      .catch((thrown) => this.#unexpected('release', thrown));
  }

  #unexpected(method: string, thrown: unknown): Fault {
    this.#logger.error('a call of the data plane failed unexpectedly', {
      method,
      error: thrown instanceof Error ? thrown.stack : String(thrown),
    });
    return faultOf(thrown);
  }
}

type Simple = Exclude<BrokerCall, { method: 'pop' | 'cancel' }>;

function outcome<T>(of: Outcome<T>, reply: (value: T) => BrokerReply): BrokerReply {
  return of.fault === undefined ? reply(of.value) : { kind: 'fault', fault: of.fault };
}

function done(refused: Fault | undefined): BrokerReply {
  return refused === undefined ? { kind: 'done' } : { kind: 'fault', fault: refused };
}

function oneSchedule(schedule: ScheduleDescription): BrokerReply {
  return { kind: 'schedules', schedules: [schedule] };
}

async function perform(api: BrokerApi, call: Simple): Promise<BrokerReply> {
  switch (call.method) {
    case 'send':
      return { kind: 'send', results: await api.send(call.command) };
    case 'join':
      return outcome(await api.join(call.command), (queues) => ({ kind: 'joined', queues }));
    case 'ack':
      return { kind: 'ack', faults: await api.ack(call.command) };
    case 'release':
      await api.release(call.command);
      return { kind: 'done' };
    case 'changeInvisible':
      return done(await api.changeInvisible(call.command));
    case 'deadLetter':
      return done(await api.deadLetter(call.command));
    case 'recall':
      return done(await api.recall(call.command));
    case 'peekPriority':
      return outcome(await api.peekPriority(call.group, call.topic), (priority) => ({ kind: 'priority', priority }));
    case 'reportClients':
      await api.reportClients(call.report);
      return { kind: 'done' };
    case 'ensureGroup':
      return outcome(await api.ensureGroup(call.name, call.create), (group) => ({ kind: 'group', group }));
    case 'putTopic':
      return outcome(await api.putTopic(call.request), (topic) => ({ kind: 'topic', topic }));
    case 'deleteTopic':
      return done(await api.deleteTopic(call.name));
    case 'listTopics':
      return { kind: 'topics', topics: await api.listTopics() };
    case 'describeTopic':
      return outcome(await api.describeTopic(call.name), (topic) => ({ kind: 'topicStatus', topic }));
    case 'putGroup':
      return outcome(await api.putGroup(call.request), (group) => ({ kind: 'group', group }));
    case 'deleteGroup':
      return done(await api.deleteGroup(call.name));
    case 'listGroups':
      return { kind: 'groups', groups: await api.listGroups() };
    case 'lag':
      return outcome(await api.lag(call.name), (lags) => ({ kind: 'lags', lags }));
    case 'pull':
      return outcome(await api.pull(call.command), (pulled) => ({ kind: 'pulled', pulled }));
    case 'putOffset':
      return done(await api.putOffset(call.offset));
    case 'getOffset': {
      const { group, topic, queueId } = call.offset;
      return outcome(await api.getOffset(group, { topic, queueId }), (offset) => ({ kind: 'offset', offset }));
    }
    case 'findOffset': {
      const { queue, target } = call.find;
      return outcome(await api.findOffset(queue, target), (offset) => ({ kind: 'offset', offset }));
    }
    case 'resetGroup':
      return outcome(await api.resetGroup(call.command), (resets) => ({ kind: 'resets', resets }));
    case 'find':
      return outcome(await api.finding.find(call.query), (found) => ({ kind: 'found', found }));
    case 'trace':
      return outcome(await api.finding.trace(call.query), (trace) => ({ kind: 'trace', trace }));
    case 'redrive':
      return outcome(await api.finding.redrive(call.command), (redriven) => ({ kind: 'redriven', redriven }));
    case 'syncLite':
      return outcome(await api.lite.sync(call.command), (lost) => ({ kind: 'lostLiteTopics', lost }));
    case 'listLiteTopics':
      return outcome(await api.lite.list(call.query), (topics) => ({ kind: 'liteTopics', topics }));
    case 'liteLags':
      return outcome(await api.lite.lags(call.query), (lags) => ({ kind: 'liteLags', lags }));
    case 'liteReaders':
      return outcome(await api.lite.readers(call.query), (clientIds) => ({ kind: 'liteReaders', clientIds }));
    case 'status':
      return { kind: 'status', status: await api.status() };
    case 'endTransaction':
      return done(await api.transactions.end(call.command));
    case 'takeChecks':
      return outcome(await api.transactions.takeChecks(call.command), (messages) => ({
        kind: 'halfMessages',
        messages,
      }));
    case 'listTransactions':
      return outcome(await api.transactions.list(call.query), (transactions) => ({
        kind: 'transactions',
        transactions,
      }));
    case 'showTransaction':
      return outcome(await api.transactions.show(call.transactionId), (message) => ({
        kind: 'halfMessages',
        messages: [message],
      }));
    case 'resumeTransaction':
      return done(await api.transactions.resume(call.transactionId));
    case 'createSchedule':
      return outcome(await api.schedules.create(call.request), oneSchedule);
    case 'pauseSchedule':
      return outcome(await api.schedules.setPaused(call.name, call.paused), oneSchedule);
    case 'deleteSchedule':
      return done(await api.schedules.delete(call.name));
    case 'listSchedules':
      return outcome(await api.schedules.list(), (schedules) => ({ kind: 'schedules', schedules }));
    case 'deleteSubscription':
      return done(await api.deleteSubscription(call.group, call.topic));
    case 'stepDown':
      return done(await api.stepDown(call.preferred));
  }
}
