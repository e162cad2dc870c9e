// The reign of one master of a fake broker set, as a proxy reaches it: a thin wrapper, because all replicas of a set
// have the same state. A test can depose it, break the connection to it, or lose its answers after they took effect.
import type { BrokerApi, PopCall, PopCommand, PopResult } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault } from '@fulmar/core/errors.ts';
import type { Master } from '@fulmar/core/route.ts';

const NOT_MASTER = fault('NOT_MASTER', 'I am a slave now.');
const NOT_SENT = fault('HA_NOT_AVAILABLE', 'not connected');
const NO_ANSWER = fault('PROXY_TIMEOUT', 'the connection broke');

export class FakeReign implements Master {
  readonly epoch: number;
  readonly api: BrokerApi;
  reachable = true;
  /** Nothing is carried out any more. */
  deposed = false;
  /** What is asked is carried out, and the answer gets lost. */
  answersGetLost = false;
  /** Calls that have come to this master. */
  calls = 0;
  readonly #pops = new Set<(result: PopResult) => void>();

  constructor(broker: BrokerApi, epoch: number) {
    this.epoch = epoch;
    const plain = <T>(ask: () => Promise<T>, refuse: (found: Fault) => T): Promise<T> => this.#ask(ask, refuse);
    const throwing = <T>(ask: () => Promise<T>): Promise<T> =>
      this.#ask(ask, (found) => {
        throw new FaultError(found);
      });
    const outcome = (found: Fault) => ({ fault: found });
    this.api = {
      send: (command) =>
        plain(
          () => broker.send(command),
          (found) => command.messages.map(() => ({ fault: found })),
        ),
      pop: (command) => this.#pop(broker, command),
      peekPriority: (group, topic) => plain(() => broker.peekPriority(group, topic), outcome),
      join: (command) => plain(() => broker.join(command), outcome),
      release: (command) => throwing(() => broker.release(command)),
      ack: (command) =>
        plain(
          () => broker.ack(command),
          (found) => command.receiptHandles.map(() => found),
        ),
      changeInvisible: (command) =>
        plain(
          () => broker.changeInvisible(command),
          (found) => found,
        ),
      deadLetter: (command) =>
        plain(
          () => broker.deadLetter(command),
          (found) => found,
        ),
      recall: (command) =>
        plain(
          () => broker.recall(command),
          (found) => found,
        ),
      reportClients: (report) => throwing(() => broker.reportClients(report)),
      ensureGroup: (name, create) => plain(() => broker.ensureGroup(name, create), outcome),
      putTopic: (request) => plain(() => broker.putTopic(request), outcome),
      deleteTopic: (name) =>
        plain(
          () => broker.deleteTopic(name),
          (found) => found,
        ),
      listTopics: () => throwing(() => broker.listTopics()),
      describeTopic: (name) => plain(() => broker.describeTopic(name), outcome),
      putGroup: (request) => plain(() => broker.putGroup(request), outcome),
      deleteGroup: (name) =>
        plain(
          () => broker.deleteGroup(name),
          (found) => found,
        ),
      finding: {
        find: (query) => plain(() => broker.finding.find(query), outcome),
        trace: (query) => plain(() => broker.finding.trace(query), outcome),
        redrive: (command) => plain(() => broker.finding.redrive(command), outcome),
      },
      pull: (command) => plain(() => broker.pull(command), outcome),
      putOffset: (offset) =>
        plain(
          () => broker.putOffset(offset),
          (found) => found,
        ),
      getOffset: (group, queue) => plain(() => broker.getOffset(group, queue), outcome),
      findOffset: (queue, target) => plain(() => broker.findOffset(queue, target), outcome),
      resetGroup: (command) => plain(() => broker.resetGroup(command), outcome),
      deleteSubscription: (group, topic) =>
        plain(
          () => broker.deleteSubscription(group, topic),
          (found) => found,
        ),
      schedules: {
        create: (request) => plain(() => broker.schedules.create(request), outcome),
        setPaused: (name, paused) => plain(() => broker.schedules.setPaused(name, paused), outcome),
        delete: (name) =>
          plain(
            () => broker.schedules.delete(name),
            (found) => found,
          ),
        list: () => plain(() => broker.schedules.list(), outcome),
      },
      listGroups: () => throwing(() => broker.listGroups()),
      lag: (group) => plain(() => broker.lag(group), outcome),
      transactions: {
        end: (command) =>
          plain(
            () => broker.transactions.end(command),
            (found) => found,
          ),
        takeChecks: (command) => plain(() => broker.transactions.takeChecks(command), outcome),
        list: (query) => plain(() => broker.transactions.list(query), outcome),
        show: (transactionId) => plain(() => broker.transactions.show(transactionId), outcome),
        resume: (transactionId) =>
          plain(
            () => broker.transactions.resume(transactionId),
            (found) => found,
          ),
      },
      lite: {
        sync: (command) => plain(() => broker.lite.sync(command), outcome),
        list: (query) => plain(() => broker.lite.list(query), outcome),
        lags: (query) => plain(() => broker.lite.lags(query), outcome),
        readers: (query) => plain(() => broker.lite.readers(query), outcome),
      },
      status: () => throwing(() => broker.status()),
      stepDown: (preferred) =>
        plain(
          () => broker.stepDown(preferred),
          (found) => found,
        ),
    };
  }

  /** What is under way has no answer, what comes later is not sent. */
  break(): void {
    this.reachable = false;
    for (const end of [...this.#pops]) end({ fault: NO_ANSWER });
  }

  #refusal(): Fault | undefined {
    if (!this.reachable) return NOT_SENT;
    this.calls++;
    return this.deposed ? NOT_MASTER : undefined;
  }

  async #ask<T>(ask: () => Promise<T>, refuse: (found: Fault) => T): Promise<T> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return refuse(refusal);
    const answer = await ask();
    return this.answersGetLost || !this.reachable ? refuse(NO_ANSWER) : answer;
  }

  #pop(broker: BrokerApi, command: PopCommand): PopCall {
    const refusal = this.#refusal();
    if (refusal !== undefined) return { result: Promise.resolve({ fault: refusal }), cancel() {} };
    const { promise, resolve, reject } = Promise.withResolvers<PopResult>();
    const call = broker.pop(command);
    const end = (result: PopResult): void => {
      this.#pops.delete(end);
      // A broker ends the polls of a connection that broke.
      call.cancel();
      resolve(this.answersGetLost ? { fault: NO_ANSWER } : result);
    };
    this.#pops.add(end);
    call.result.then(end, reject);
    return { result: promise, cancel: () => call.cancel() };
  }
}
