// A cluster without logs for tests of registration and routing: real NameServers on loopback gRPC, brokers that are
// just a list of topics and a registration, and the proxy's view. Its clocks run ten times as fast as the wall.

import { type Registration, startRegistration } from '@fulmar/broker/registration.ts';
import type { TopicDescription, TopicRequest } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { type Clock, silentLogger, silentObserver, type Timers } from '@fulmar/core/ports.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import type { BrokerConnection } from '@fulmar/proxy/cluster/broker-links.ts';
import { ClusterView } from '@fulmar/proxy/cluster/cluster-view.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { type GrpcServer, startGrpcServer } from '@fulmar/runtime/grpc-server.ts';
import { connectNameServer } from '@fulmar/runtime/name-server-client.ts';
import { nameServerBinding } from '../binding.ts';
import { NameService } from '../name-service.ts';

export const SPEED = 10;

export const fastClock: Clock = {
  wallMs: systemClock.wallMs,
  monotonicMs: () => systemClock.monotonicMs() * SPEED,
};

export const fastTimers: Timers = {
  after: (delayMs, callback) => systemTimers.after(delayMs / SPEED, callback),
  soon: systemTimers.soon,
};

const ports = { clock: fastClock, timers: fastTimers, random: systemRandom, log: silentLogger };

export interface TestNameServer {
  readonly address: string;
  readonly service: NameService;
  /** Without a goodbye, as when the machine goes away. */
  kill(): Promise<void>;
}

export async function startNameServer(port = 0): Promise<TestNameServer> {
  const service = new NameService({ ...ports, brokerExpiryMs: 10_000 });
  const server: GrpcServer = await startGrpcServer({
    host: '127.0.0.1',
    port,
    plaintext: true,
    services: [nameServerBinding(service)],
    logger: silentLogger,
    observer: silentObserver,
  });
  let killed = false;
  return {
    address: `127.0.0.1:${server.port}`,
    service,
    async kill() {
      if (killed) return;
      killed = true;
      await server.stop(0);
      service.stop();
    },
  };
}

export class TestBroker {
  readonly topics = new Map<string, TopicDescription>();
  readonly registration: Registration;
  readonly api: BrokerConnection;
  entry: BrokerEntry;
  closedConnections = 0;

  constructor(nameServers: readonly string[], set: string, replica: string, role: 'master' | 'slave', epoch: number) {
    const address = `${replica}.${set}:8000`;
    this.entry = { cluster: 'c', set, replica, role, epoch, address, version: '1' };
    this.api = {
      putTopic: async (request: TopicRequest): Promise<Outcome<TopicDescription>> => success(this.put(request)),
      deleteTopic: async (name: string): Promise<Fault | undefined> => this.delete(name),
      reachable: true,
      close: () => {
        this.closedConnections++;
      },
    } as Partial<BrokerConnection> as BrokerConnection;
    this.registration = startRegistration({
      ...ports,
      resolve: async () => nameServers,
      connect: connectNameServer,
      source: {
        entry: () => this.entry,
        topicNames: () => this.topics.keys(),
        topic: (name) => this.topics.get(name),
      },
    });
  }

  put({ name, type = 'normal', queues = 4 }: Partial<TopicRequest> & { name: string }): TopicDescription {
    const description = { name, type, queues, createdAtMs: 0 };
    this.topics.set(name, description);
    this.registration.topicsChanged([name]);
    return description;
  }

  delete(name: string): Fault | undefined {
    if (!this.topics.delete(name)) return fault('TOPIC_NOT_FOUND', 'There is no such topic.');
    this.registration.topicsChanged([name]);
    return undefined;
  }

  become(role: 'master' | 'slave', epoch: number): void {
    this.entry = { ...this.entry, role, epoch };
    this.registration.entryChanged();
  }
}

/** Both are asked each time; `brokers` are found by their addresses. */
export function openView(nameServers: () => readonly string[], brokers: () => readonly TestBroker[]): ClusterView {
  return new ClusterView({
    ...ports,
    resolve: async () => nameServers(),
    connect: connectNameServer,
    connectBroker: (address) => {
      const broker = brokers().find((candidate) => candidate.entry.address === address);
      if (broker === undefined) throw new Error(`no broker has the address ${address}`);
      return broker.api;
    },
  });
}

/** Resolves at the first change after which the condition holds; the test's own time limit bounds the wait. */
export function until(view: ClusterView, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!condition()) return;
      stop();
      resolve();
    };
    const stop = view.onChange(check);
    check();
  });
}

export function pause(virtualMs: number): Promise<void> {
  return new Promise((resolve) => {
    fastTimers.after(virtualMs, resolve);
  });
}
