// The stateless half of a simulated cluster: NameServers and proxies as their own programs assemble them, each in a
// process that dies and comes back with nothing.
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { NameService } from '@fulmar/nameserver/name-service.ts';
import { type AdminHandlers, adminService } from '@fulmar/proxy/api/admin.ts';
import { type MessagingHandlers, type MessagingService, messagingService } from '@fulmar/proxy/api/service.ts';
import { ClusterView } from '@fulmar/proxy/cluster/cluster-view.ts';
import { brokerConnector, nameServerConnector } from './cluster-links.ts';
import { type ClusterWorld, EVEN_RATE } from './cluster-machine.ts';
import { SimulatedProcess } from './scheduler.ts';

const BROKER_EXPIRY_MS = 10_000;
const VERSION = 'simulated';

export class NameServerMachine {
  readonly name: string;
  private readonly world: ClusterWorld;
  process: SimulatedProcess | undefined;

  constructor(world: ClusterWorld, name: string) {
    this.world = world;
    this.name = name;
  }

  start(): void {
    const process = new SimulatedProcess(this.world.scheduler, 0, EVEN_RATE);
    this.process = process;
    const service = new NameService({
      ...{ clock: process, timers: process, log: silentLogger, brokerExpiryMs: BROKER_EXPIRY_MS },
    });
    this.world.network.serve(this.name, process, service);
  }

  kill(): void {
    this.world.trace.note(`${this.name} is killed`);
    this.process?.kill();
    this.process = undefined;
  }
}

export interface ProxyLife {
  readonly process: SimulatedProcess;
  readonly view: ClusterView;
  readonly service: MessagingService;
  readonly admin: AdminHandlers;
}

export class ProxyMachine {
  readonly name: string;
  private readonly world: ClusterWorld;
  life: ProxyLife | undefined;

  constructor(world: ClusterWorld, name: string) {
    this.world = world;
    this.name = name;
  }

  get handlers(): MessagingHandlers | undefined {
    return this.life?.service.handlers;
  }

  start(): void {
    const { scheduler, random, network, nameServers, trace } = this.world;
    const process = new SimulatedProcess(scheduler, 0, EVEN_RATE);
    const ports = { clock: process, timers: process, random: random.fork() };
    const view = new ClusterView({
      ...ports,
      resolve: async () => nameServers,
      connect: nameServerConnector(network, this.name, process),
      connectBroker: brokerConnector(network, this.name, process),
      log: silentLogger,
    });
    const service = messagingService({
      ...ports,
      cluster: view,
      logger: {
        ...silentLogger,
        error: (event, fields) => trace.note(`${this.name}: ${event} ${JSON.stringify(fields)}`),
      },
      observer: silentObserver,
      config: { autoCreate: false, advertisedEndpoints: [], clusterName: 'cluster', proxyId: this.name },
    });
    service.start();
    const admin = adminService({
      ...{ cluster: view, timers: process, logger: silentLogger, clusterName: 'cluster', version: VERSION },
      clients: (selection) => service.roster.all(selection),
      groupChanged: service.groupChanged,
    });
    this.life = { process, view, service, admin };
  }

  kill(): void {
    this.world.trace.note(`${this.name} is killed`);
    this.life?.process.kill();
    this.life = undefined;
  }
}
