// The network between brokers, NameServers and proxies of a simulated cluster: connections whose two directions
// are pipes. They stall while the way is cut, end when either process dies, and are given up after a long silence.
import type { SeededRandom } from './random.ts';
import { Pipe } from './replication-pipe.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';

/** A connection over which nothing comes for so long is given up by both sides. */
const SILENCE_MS = 5_000;
const SMALL_BYTES = 100;

interface Listening<Service> {
  readonly process: SimulatedProcess;
  readonly service: Service;
}

/** One end of a connection: what is sent from here happens at the other side, in order. */
export interface End<Service> {
  readonly service: Service;
  /** Runs at the server. */
  toServer(event: () => void): void;
  /** Runs at the client. */
  toClient(event: () => void): void;
  /** Runs at the server when the connection is gone. */
  onServerEnd(listener: () => void): void;
  close(): void;
}

export class ClusterNetwork {
  /** Probability for each message that its connection ends with it. */
  reset = 0;
  /** Called when a connection ends that nobody has closed. */
  onBreak: () => void = () => {};
  /** `from to` of every way that is cut. */
  private readonly cuts = new Set<string>();
  private readonly isolated = new Set<string>();
  private readonly servers = new Map<string, Listening<unknown>>();
  private readonly open = new Set<Connection>();
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.scheduler = scheduler;
    this.random = random;
  }

  serve<Service>(address: string, process: SimulatedProcess, service: Service): void {
    this.servers.set(address, { process, service });
    process.onKill(() => this.breakWhere((each) => each.server === process || each.client === process));
  }

  /** `opened` or, once, `ended` is called at the client, never at once. */
  connect<Service>(
    from: string,
    client: SimulatedProcess,
    to: string,
    opened: (end: End<Service>) => void,
    ended: (reason: string) => void,
  ): { close(): void } {
    let connection: Connection | undefined;
    let closed = false;
    this.scheduler.after(this.delayMs(), () =>
      client.deliver(() => {
        if (closed) return;
        const found = this.servers.get(to) as Listening<Service> | undefined;
        const isCut = this.isCut(from, to) || this.isCut(to, from);
        if (found === undefined || !found.process.isAlive || isCut) {
          client.after(isCut ? SILENCE_MS : this.delayMs(), () => {
            if (!closed) ended(`nobody answers at ${to}`);
          });
          return;
        }
        connection = new Connection(this, { from, to, client, server: found.process }, ended);
        this.open.add(connection);
        opened({
          service: found.service,
          toServer: connection.toServer,
          toClient: connection.toClient,
          onServerEnd: (listener) => connection!.onServerEnd(listener),
          close: () => connection!.close(),
        });
      }),
    );
    return {
      close: () => {
        closed = true;
        connection?.close();
      },
    };
  }

  delayMs(): number {
    return this.random.chance(0.02) ? this.random.between(1, 60) : this.random.between(1, 1_000) / 400;
  }

  isCut(from: string, to: string): boolean {
    return this.isolated.has(from) || this.isolated.has(to) || this.cuts.has(`${from} ${to}`);
  }

  get hasCuts(): boolean {
    return this.cuts.size > 0 || this.isolated.size > 0;
  }

  partition(from: string, to: string): void {
    this.cuts.add(`${from} ${to}`);
  }

  isolate(name: string): void {
    this.isolated.add(name);
  }

  heal(): void {
    this.cuts.clear();
    this.isolated.clear();
    for (const each of [...this.open]) each.healed();
  }

  resetOf(name: string): void {
    this.breakWhere((each) => each.from === name || each.to === name);
  }

  forget(connection: Connection): void {
    this.open.delete(connection);
  }

  private breakWhere(isMeant: (connection: Connection) => boolean): void {
    for (const each of [...this.open]) if (isMeant(each)) each.break('connection reset');
  }
}

interface Route {
  readonly from: string;
  readonly to: string;
  readonly client: SimulatedProcess;
  readonly server: SimulatedProcess;
}

class Connection {
  readonly from: string;
  readonly to: string;
  readonly client: SimulatedProcess;
  readonly server: SimulatedProcess;
  private readonly network: ClusterNetwork;
  private readonly up: Pipe;
  private readonly down: Pipe;
  private readonly ended: (reason: string) => void;
  private over = false;
  private readonly mourners: (() => void)[] = [];

  constructor(network: ClusterNetwork, { from, to, client, server }: Route, ended: (reason: string) => void) {
    this.from = from;
    this.to = to;
    this.client = client;
    this.server = server;
    this.network = network;
    this.ended = ended;
    this.up = this.pipe(client, server, from, to);
    this.down = this.pipe(server, client, to, from);
    this.watch();
  }

  private pipe(sender: SimulatedProcess, receiver: SimulatedProcess, from: string, to: string): Pipe {
    const { network } = this;
    return new Pipe({
      scheduler: network.scheduler,
      ...{ sender, receiver },
      delayMs: () => network.delayMs(),
      isCut: () => network.isCut(from, to),
      isCutBackwards: () => network.isCut(to, from),
    });
  }

  readonly toServer = (event: () => void): void => this.send(this.up, event);
  readonly toClient = (event: () => void): void => this.send(this.down, event);

  private send(pipe: Pipe, event: () => void): void {
    if (this.over) return;
    pipe.send(SMALL_BYTES, () => {
      if (this.over) return;
      if (this.network.random.chance(this.network.reset)) this.break('connection reset');
      else event();
    });
  }

  /** What stands for keep-alive: a way that is cut for long is noticed. */
  private watch(): void {
    let silent = 0;
    const look = () => {
      if (this.over) return;
      const isCut = this.network.isCut(this.from, this.to) || this.network.isCut(this.to, this.from);
      silent = isCut ? silent + 1 : 0;
      if (silent * 1_000 >= SILENCE_MS) this.break('nothing is heard any more');
      else this.network.scheduler.after(1_000, look);
    };
    this.network.scheduler.after(1_000, look);
  }

  healed(): void {
    if (this.over || (!this.up.isStalled && !this.down.isStalled)) return;
    if (this.network.random.chance(0.5)) this.break('connection reset');
    else {
      this.up.retry();
      this.down.retry();
    }
  }

  /** Runs at the server when the connection is gone. */
  onServerEnd(listener: () => void): void {
    this.mourners.push(listener);
  }

  break(reason: string): void {
    if (this.over) return;
    this.finish();
    this.network.onBreak();
    this.client.soon(() => this.ended(reason));
  }

  close(): void {
    if (!this.over) this.finish();
  }

  private finish(): void {
    this.over = true;
    this.up.close();
    this.down.close();
    this.network.forget(this);
    for (const listener of this.mourners) this.server.soon(listener);
  }
}
