// What proxies and brokers connect with in a simulated cluster: the master's API as calls over a connection that may
// end at any moment, and the streams of a NameServer. A call whose answer does not come may have happened all the same.

import type { BrokerApi, PopCall, PopCommand, PopResult } from '@fulmar/core/broker-api.ts';
import type { NameServerConnection } from '@fulmar/core/name-service.ts';
import type { NameService } from '@fulmar/nameserver/name-service.ts';
import type { BrokerConnection, ConnectBroker } from '@fulmar/proxy/cluster/broker-links.ts';
import type { ClusterNetwork, End } from './cluster-network.ts';
import { copied } from './copied.ts';
import type { SimulatedProcess } from './scheduler.ts';

const CALL_TIMEOUT_MS = 5_000;
const RETRY_MS = 200;

class BrokerLink {
  reachable = false;
  private readonly network: ClusterNetwork;
  private readonly from: string;
  private readonly client: SimulatedProcess;
  private readonly address: string;
  private readonly onChange: () => void;
  private end: End<BrokerApi> | undefined;
  private closed = false;
  private connecting = false;
  private readonly pending = new Set<(error: Error) => void>();

  constructor(network: ClusterNetwork, from: string, client: SimulatedProcess, address: string, onChange: () => void) {
    this.network = network;
    this.from = from;
    this.client = client;
    this.address = address;
    this.onChange = onChange;
    this.connect();
  }

  connect(): void {
    if (this.closed || this.connecting || this.end !== undefined) return;
    this.connecting = true;
    this.network.connect<BrokerApi>(
      this.from,
      this.client,
      this.address,
      (end) => {
        this.connecting = false;
        if (this.closed) {
          end.close();
          return;
        }
        this.end = end;
        this.reachable = true;
        this.onChange();
      },
      (reason) => {
        this.connecting = false;
        this.lost(reason);
        this.client.after(RETRY_MS, () => this.connect());
      },
    );
  }

  private lost(reason: string): void {
    const wasReachable = this.reachable;
    this.reachable = false;
    this.end = undefined;
    for (const fail of [...this.pending]) fail(new Error(reason));
    if (wasReachable && !this.closed) this.onChange();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.end?.close();
    this.client.soon(() => this.lost('the connection was closed'));
  }

  call<T>(ask: (api: BrokerApi) => Promise<T>, limitMs = CALL_TIMEOUT_MS): Promise<T> {
    const { end } = this;
    return new Promise<T>((resolve, reject) => {
      if (end === undefined) {
        this.client.soon(() => reject(new Error(`${this.address} is not reachable`)));
        return;
      }
      const fail = (error: Error) => {
        this.pending.delete(fail);
        tooLate.cancel();
        reject(error);
      };
      const tooLate = this.client.after(limitMs, () => fail(new Error(`${this.address} did not answer in time`)));
      this.pending.add(fail);
      const give = (value: T) => {
        this.pending.delete(fail);
        tooLate.cancel();
        resolve(value);
      };
      end.toServer(() => {
        ask(end.service).then(
          (value) => {
            const answer = copied(value);
            end.toClient(() => give(answer));
          },
          (error: unknown) => end.toClient(() => fail(new Error(String(error)))),
        );
      });
    });
  }

  pop(command: PopCommand): PopCall {
    const { end } = this;
    let call: PopCall | undefined;
    const asked = copied(command);
    const result = this.call<PopResult>((api) => {
      call = api.pop(asked);
      end!.onServerEnd(() => call!.cancel());
      // As the data plane does when a stream ends.
      end!.onServerEnd(
        () => void api.reportClients({ proxyId: '', online: [], gone: [], doubtful: [command.clientId], lost: [] }),
      );
      return call.result;
    }, command.waitMs + CALL_TIMEOUT_MS);
    return { result, cancel: () => end?.toServer(() => call?.cancel()) };
  }
}

/** How the proxy of this name reaches brokers. */
export function brokerConnector(network: ClusterNetwork, from: string, client: SimulatedProcess): ConnectBroker {
  return (address, onChange): BrokerConnection => {
    const link = new BrokerLink(network, from, client, address, onChange);
    const call = link.call.bind(link);
    return {
      get reachable() {
        return link.reachable;
      },
      reconnect: () => link.connect(),
      close: () => link.close(),
      send: (command) => {
        const sent = copied(command);
        return call((api) => api.send(sent));
      },
      pop: (command) => link.pop(command),
      peekPriority: (group, topic) => call((api) => api.peekPriority(group, topic)),
      join: (command) => call((api) => api.join(command)),
      release: (command) => call((api) => api.release(command)),
      ack: (command) => call((api) => api.ack(command)),
      changeInvisible: (command) => call((api) => api.changeInvisible(command)),
      deadLetter: (command) => call((api) => api.deadLetter(command)),
      recall: (command) => call((api) => api.recall(command)),
      reportClients: (report) => call((api) => api.reportClients(copied(report))),
      ensureGroup: (name, create) => call((api) => api.ensureGroup(name, create)),
      putTopic: (request) => call((api) => api.putTopic(request)),
      deleteTopic: (name) => call((api) => api.deleteTopic(name)),
      listTopics: () => call((api) => api.listTopics()),
      describeTopic: (name) => call((api) => api.describeTopic(name)),
      putGroup: (request) => call((api) => api.putGroup(request)),
      deleteGroup: (name) => call((api) => api.deleteGroup(name)),
      pull: (command) => call((api) => api.pull(copied(command)), command.waitMs + CALL_TIMEOUT_MS),
      putOffset: (offset) => call((api) => api.putOffset(offset)),
      getOffset: (group, queue) => call((api) => api.getOffset(group, queue)),
      findOffset: (queue, target) => call((api) => api.findOffset(queue, target)),
      resetGroup: (command) => call((api) => api.resetGroup(command)),
      deleteSubscription: (group, topic) => call((api) => api.deleteSubscription(group, topic)),
      schedules: {
        create: (request) => call((api) => api.schedules.create(copied(request))),
        setPaused: (name, paused) => call((api) => api.schedules.setPaused(name, paused)),
        delete: (name) => call((api) => api.schedules.delete(name)),
        list: () => call((api) => api.schedules.list()),
      },
      listGroups: () => call((api) => api.listGroups()),
      lag: (group) => call((api) => api.lag(group)),
      transactions: {
        end: (command) => call((api) => api.transactions.end(command)),
        takeChecks: (command) => call((api) => api.transactions.takeChecks(copied(command))),
        list: (query) => call((api) => api.transactions.list(query)),
        show: (transactionId) => call((api) => api.transactions.show(transactionId)),
        resume: (transactionId) => call((api) => api.transactions.resume(transactionId)),
      },
      finding: {
        find: (query) => call((api) => api.finding.find(query)),
        trace: (query) => call((api) => api.finding.trace(query)),
        redrive: (command) => call((api) => api.finding.redrive(command)),
      },
      lite: {
        sync: (command) => call((api) => api.lite.sync(copied(command))),
        list: (query) => call((api) => api.lite.list(query)),
        lags: (query) => call((api) => api.lite.lags(query)),
        readers: (query) => call((api) => api.lite.readers(query)),
      },
      stepDown: (preferred) => call((api) => api.stepDown(preferred)),
      status: () => call((api) => api.status()),
    };
  };
}

/** How a broker or proxy of this name reaches NameServers. */
export function nameServerConnector(network: ClusterNetwork, from: string, client: SimulatedProcess) {
  return (address: string): NameServerConnection => ({
    register(listener) {
      const early: ((end: End<NameService>) => void)[] = [];
      let end: End<NameService> | undefined;
      const withEnd = (use: (end: End<NameService>) => void) => (end === undefined ? early.push(use) : use(end));
      let registration: ReturnType<NameService['openRegistration']>;
      let over = false;
      const line = network.connect<NameService>(
        from,
        client,
        address,
        (opened) => {
          end = opened;
          opened.toServer(() => {
            registration = opened.service.openRegistration({
              reply: (reply) => opened.toClient(() => !over && listener.onReply(reply)),
              end: (reason) => opened.toClient(() => finish(reason.message)),
            });
            opened.onServerEnd(() => registration.onEnd());
          });
          for (const use of early.splice(0)) use(opened);
        },
        (reason) => finish(reason),
      );
      const finish = (reason: string) => {
        if (over) return;
        over = true;
        line.close();
        listener.onEnd(reason);
      };
      return {
        send(report) {
          const sent = copied(report);
          withEnd((opened) => opened.toServer(() => registration.onReport(sent)));
          return true;
        },
        finish() {
          over = true;
          withEnd((opened) => {
            opened.toServer(() => {
              registration.onReport({ putTopics: [], deletedTopics: [], more: false, goodbye: true });
              opened.close();
            });
          });
        },
        cancel() {
          over = true;
          line.close();
        },
      };
    },
    watch(listener) {
      let over = false;
      const line = network.connect<NameService>(
        from,
        client,
        address,
        (opened) =>
          opened.toServer(() => {
            const watcher = opened.service.openWatch({
              send(event) {
                const sent = copied(event);
                opened.toClient(() => !over && listener.onEvent(sent));
                return true;
              },
              end: (reason) => opened.toClient(() => finish(reason.message)),
            });
            opened.onServerEnd(() => watcher.onEnd());
          }),
        (reason) => finish(reason),
      );
      const finish = (reason: string) => {
        if (over) return;
        over = true;
        line.close();
        listener.onEnd(reason);
      };
      return {
        cancel() {
          over = true;
          line.close();
        },
      };
    },
    close() {},
  });
}
