// A TCP relay of our own between two processes, because the kernel here has no delaying queue: it delays, stalls,
// half-closes and resets connections on command. With several targets it is the load balancer in front of them.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface Target {
  readonly host: string;
  readonly port: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** How many bytes wait in one direction before the sender is asked to stop. */
const WAITING_MAX_BYTES = 4 * 1024 ** 2;
const CONNECT_MS = 1_000;

export class Relay {
  private readonly listener: Server;
  private readonly targets: readonly Target[];
  private readonly pairs = new Set<Pair>();
  private readonly waiting = new Set<() => void>();
  private next = 0;
  private delayMs = 0;
  private stalled = false;

  private constructor(targets: readonly Target[]) {
    this.targets = targets;
    this.listener = createServer({ allowHalfOpen: true }, (client) => void this.accept(client));
  }

  /** Port 0 for any. A connection that one target refuses goes to the next one. */
  static async start(targets: readonly Target[], host: string, port = 0): Promise<Relay> {
    const relay = new Relay(targets);
    relay.listener.listen(port, host);
    await once(relay.listener, 'listening');
    return relay;
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.pairs.size;
  }

  /** Every piece of data arrives so much later, in order, in both directions. */
  delay(milliseconds: number): void {
    this.delayMs = milliseconds;
  }

  /** Nothing passes, and nothing is refused, until `resume`. */
  stall(): void {
    this.stalled = true;
  }

  resume(): void {
    this.stalled = false;
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  /** What servers send still arrives; to them it looks as if the clients had said their last word. */
  halfClose(): void {
    for (const { server } of this.pairs) server.end();
  }

  /** Every connection breaks, as if the machine behind it had started anew. */
  reset(): void {
    for (const { client, server } of this.pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  close(): void {
    this.resume();
    this.listener.close();
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  private async accept(client: Socket): Promise<void> {
    client.on('error', () => {});
    const server = await this.connectSomewhere();
    if (server === undefined || client.destroyed) {
      server?.destroy();
      client.resetAndDestroy();
      return;
    }
    const pair = { client, server };
    this.pairs.add(pair);
    client.setNoDelay(true);
    server.setNoDelay(true);
    this.carry(client, server);
    this.carry(server, client);
    const forget = () => {
      if (client.destroyed && server.destroyed) this.pairs.delete(pair);
    };
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => other.resetAndDestroy());
      one.on('close', () => {
        if (one.readableEnded) other.end();
        else other.destroy();
        forget();
      });
    }
  }

  private async connectSomewhere(): Promise<Socket | undefined> {
    for (let tried = 0; tried < this.targets.length; tried++) {
      const target = this.targets[this.next++ % this.targets.length]!;
      const socket = connect({ ...target, allowHalfOpen: true });
      const connected = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), CONNECT_MS);
        socket.once('connect', () => resolve(true));
        socket.on('error', () => resolve(false));
        socket.once('connect', () => clearTimeout(timer));
        socket.once('error', () => clearTimeout(timer));
      });
      if (connected) return socket;
      socket.destroy();
    }
    return undefined;
  }

  /** Data in the order in which it came, each piece at its time. */
  private carry(from: Socket, to: Socket): void {
    let line: Promise<void> = Promise.resolve();
    let waitingBytes = 0;
    const pass = (dueMs: number, work: () => void) => {
      line = line.then(async () => {
        const restMs = dueMs - performance.now();
        if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
        while (this.stalled && !to.destroyed) await new Promise<void>((resolve) => this.waiting.add(resolve));
        if (!to.destroyed) work();
      });
    };
    from.on('data', (piece: Buffer) => {
      waitingBytes += piece.length;
      if (waitingBytes > WAITING_MAX_BYTES) from.pause();
      pass(performance.now() + this.delayMs, () => {
        to.write(piece, () => {
          waitingBytes -= piece.length;
          if (waitingBytes <= WAITING_MAX_BYTES) from.resume();
        });
      });
    });
    from.on('end', () => pass(performance.now() + this.delayMs, () => to.end()));
  }
}
