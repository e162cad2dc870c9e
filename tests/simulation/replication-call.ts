// One call between two simulated processes: it finds its server or nobody, then carries messages both ways until one
// side ends it or the network does. The client hears of the end once, unless it has cancelled the call itself.
import type { ReplicationService } from '@fulmar/broker/replication/messages.ts';
import { Pipe } from './replication-pipe.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';

/** A call without a connection gives up after this time. */
export const CONNECT_MS = 5_000;

export interface Served {
  readonly process: SimulatedProcess;
  readonly service: ReplicationService;
}

/** What a call asks of the network. */
export interface CallNetwork {
  readonly scheduler: Scheduler;
  delayMs(): number;
  isCut(from: string, to: string): boolean;
  serverAt(address: string): Served | undefined;
  /** A message comes out at the other end. False when the connection breaks just before. */
  arrives(from: string, to: string, bytes: number): boolean;
  /** Whether what is under way is lost when its sender dies. */
  losesFlying(): boolean;
  forget(call: OpenCall): void;
}

export type EndReason = 'unreachable' | 'broken';

/** The server's end. Each listener hears of what happens after it was set. */
export interface ServerEnd<Up, Down> {
  onMessage: (message: Up) => void;
  onClose: () => void;
  onDrain: () => void;
  send(message: Down, bytes: number): void;
  waitingBytes(): number;
  end(): void;
}

export interface CallPlan<Up, Down> {
  readonly from: string;
  readonly client: SimulatedProcess;
  readonly to: string;
  /** The call has reached its server. */
  accept(service: ReplicationService, end: ServerEnd<Up, Down>): void;
  onMessage(message: Down): void;
  onEnd(reason: EndReason, text: string): void;
}

/** What the network does to calls of any kind. */
export interface OpenCall {
  readonly from: string;
  readonly to: string;
  readonly client: SimulatedProcess;
  readonly server: Served | undefined;
  /** Both ends hear of it, at once and whatever is cut. */
  reset(): void;
  clientDied(): void;
  serverDied(): void;
  /** The network is whole again. `goesOn` is asked if anything was swallowed. */
  healed(goesOn: () => boolean): void;
}

export class SimulatedCall<Up, Down> implements OpenCall {
  readonly from: string;
  readonly to: string;
  readonly client: SimulatedProcess;
  server: Served | undefined;
  private readonly network: CallNetwork;
  private readonly plan: CallPlan<Up, Down>;
  private readonly early: { readonly message: Up; readonly bytes: number }[] = [];
  private up: Pipe | undefined;
  private down: Pipe | undefined;
  private end: ServerEnd<Up, Down> | undefined;
  private clientDone = false;
  private cancelled = false;
  private serverDone = false;

  constructor(network: CallNetwork, plan: CallPlan<Up, Down>) {
    this.network = network;
    this.plan = plan;
    this.from = plan.from;
    this.to = plan.to;
    this.client = plan.client;
    const { scheduler } = network;
    scheduler.after(network.delayMs(), () => this.connect());
    scheduler.after(CONNECT_MS, () => {
      if (this.server === undefined) this.endClient('broken', `${this.to} did not answer in ${CONNECT_MS} ms`);
    });
  }

  send(message: Up, bytes: number): void {
    if (this.clientDone) return;
    if (this.up === undefined) this.early.push({ message, bytes });
    else this.sendUp(this.up, message, bytes);
  }

  cancel(): void {
    this.cancelled = true;
    if (!this.clientDone) this.leave(false);
  }

  reset(): void {
    if (this.server !== undefined) this.server.process.soon(() => this.closeServer());
    this.up?.close();
    this.down?.close();
    this.endClient('broken', 'connection reset');
    this.network.forget(this);
  }

  clientDied(): void {
    this.leave(this.network.losesFlying());
  }

  serverDied(): void {
    this.serverDone = true;
    this.up?.close();
    this.forgetIfDone();
    this.down?.cutOff(this.network.losesFlying(), () => this.endClient('broken', 'connection reset by peer'));
  }

  healed(goesOn: () => boolean): void {
    if (this.server === undefined) {
      if (!this.clientDone) this.connect();
      return;
    }
    if (this.up?.isStalled !== true && this.down?.isStalled !== true) return;
    if (!goesOn()) {
      this.reset();
      return;
    }
    this.up?.retry();
    this.down?.retry();
  }

  private leave(losesFlying: boolean): void {
    this.clientDone = true;
    this.down?.close();
    this.up?.cutOff(losesFlying, () => this.closeServer());
    this.forgetIfDone();
  }

  private forgetIfDone(): void {
    if (this.clientDone && (this.serverDone || this.server === undefined)) this.network.forget(this);
  }

  private connect(): void {
    const { network, from, to } = this;
    if (this.clientDone || this.server !== undefined) return;
    // Without a way there and back there is no connection; the client repeats that until it gives up.
    if (network.isCut(from, to) || network.isCut(to, from)) return;
    const server = network.serverAt(to);
    if (server === undefined || !server.process.isAlive) {
      network.scheduler.after(network.delayMs(), () => this.endClient('unreachable', `nobody listens at ${to}`));
      return;
    }
    this.server = server;
    const up = this.pipe(this.client, server.process, from, to);
    const down = this.pipe(server.process, this.client, to, from);
    this.up = up;
    this.down = down;
    this.end = this.serverEnd(server, down);
    server.process.soon(() => this.plan.accept(server.service, this.end!));
    for (const { message, bytes } of this.early) this.sendUp(up, message, bytes);
  }

  private pipe(sender: SimulatedProcess, receiver: SimulatedProcess, from: string, to: string): Pipe {
    const { network } = this;
    return new Pipe({
      scheduler: network.scheduler,
      sender,
      receiver,
      delayMs: () => network.delayMs(),
      isCut: () => network.isCut(from, to),
      isCutBackwards: () => network.isCut(to, from),
    });
  }

  private serverEnd(server: Served, down: Pipe): ServerEnd<Up, Down> {
    const end: ServerEnd<Up, Down> = {
      onMessage: () => {},
      onClose: () => {},
      onDrain: () => {},
      send: (message, bytes) => {
        if (this.serverDone) return;
        down.send(bytes, () => {
          if (!this.network.arrives(this.to, this.from, bytes)) this.reset();
          else if (!this.clientDone) this.plan.onMessage(message);
        });
      },
      waitingBytes: () => down.waitingBytes,
      end: () => {
        if (this.serverDone) return;
        down.send(0, () => this.endClient('broken', 'the other side has ended the stream'));
        server.process.soon(() => this.closeServer());
      },
    };
    down.onDrain = () => {
      if (!this.serverDone) end.onDrain();
    };
    return end;
  }

  private sendUp(up: Pipe, message: Up, bytes: number): void {
    up.send(bytes, () => {
      if (!this.network.arrives(this.from, this.to, bytes)) this.reset();
      else if (!this.serverDone) this.end?.onMessage(message);
    });
  }

  private closeServer(): void {
    if (this.serverDone) return;
    this.serverDone = true;
    this.up?.close();
    this.end?.onClose();
    this.forgetIfDone();
  }

  private endClient(reason: EndReason, text: string): void {
    if (this.clientDone) return;
    this.clientDone = true;
    this.down?.close();
    this.forgetIfDone();
    this.client.soon(() => {
      if (!this.cancelled) this.plan.onEnd(reason, text);
    });
  }
}
