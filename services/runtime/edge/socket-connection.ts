// One connection between its socket and its machine: what was read goes in, and once in each turn of the event loop
// all that has gathered comes out in one write. While the network has not taken the last write nothing more is
// produced, so that a reader who is slow finds its answers waiting where they are counted.
import type { Socket } from 'node:net';
import { Connection, type ConnectionLimits, type ConnectionOwner } from './connection.ts';
import type { Ledger } from './ledger.ts';
import type { RequestHead } from './request-head.ts';
import type { HttpStream, StreamConsumer } from './stream.ts';
import { WRITE_BUFFER_BYTES, type WriteBuffers } from './write-buffers.ts';

/** What the connections of a server share. */
export interface ConnectionServices {
  readonly limits: ConnectionLimits;
  readonly ledger: Ledger;
  readonly buffers: WriteBuffers;
  /** How old the next connection may become; 0 for no bound. */
  ageMs(): number;
  begin(stream: HttpStream, head: RequestHead, peer: string): StreamConsumer;
  /** `flush` is wanted before the turn ends. */
  flushSoon(connection: SocketConnection): void;
  crowded(newest: HttpStream): void;
  dropped(reason: string): void;
  closed(connection: SocketConnection): void;
  /** The machine has thrown, which it never should. */
  broken(error: unknown): void;
}

/** How long a client may take to notice that its connection is over. */
const FAREWELL_MS = 1_000;

export class SocketConnection implements ConnectionOwner {
  readonly machine: Connection;
  /** Since when the network has not taken what was written last; undefined if it has taken everything. */
  stuckSinceMs: number | undefined;
  readonly #socket: Socket;
  readonly #services: ConnectionServices;
  readonly #peer: string;
  #lent: Buffer | undefined;
  #flushWaits = false;
  #writes = 0;
  #endedMs: number | undefined;
  readonly #written = (error?: Error | null): void => {
    this.#writes--;
    if (this.#writes > 0 || error) return;
    this.#giveBack();
    this.machine.outbound.flushed();
    this.#askForFlush();
  };

  constructor(socket: Socket, services: ConnectionServices) {
    this.#socket = socket;
    this.#services = services;
    this.#peer = `${socket.remoteAddress}:${socket.remotePort}`;
    this.machine = new Connection(this, services.limits, services.ledger, services.ageMs());
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // A client that ends its half reads no more either.
    socket.on('end', () => this.destroy('ended'));
    socket.on('close', () => {
      this.#giveBack();
      this.machine.lost('closed');
      services.closed(this);
    });
    this.outputWaiting();
  }

  request(stream: HttpStream, head: RequestHead): StreamConsumer {
    return this.#services.begin(stream, head, this.#peer);
  }

  outputWaiting(): void {
    if (this.#flushWaits || this.#lent !== undefined) return;
    this.#flushWaits = true;
    this.#services.flushSoon(this);
  }

  crowded(newest: HttpStream): void {
    this.#services.crowded(newest);
  }

  dropped(reason: string): void {
    this.#services.dropped(reason);
  }

  #askForFlush(): void {
    if (this.machine.outbound.waits || this.machine.isOver) this.outputWaiting();
  }

  #read(chunk: Buffer): void {
    this.#services.ledger.nowMs = performance.now();
    try {
      this.machine.receive(chunk);
    } catch (error) {
      this.#break(error);
    }
    this.#askForFlush();
  }

  #break(error: unknown): void {
    this.#services.broken(error);
    this.destroy('broken');
  }

  /** Writes what may be written now. */
  flush(): void {
    this.#flushWaits = false;
    try {
      this.#write();
    } catch (error) {
      this.#break(error);
    }
    if (this.#endedMs !== undefined || !this.machine.isOver) return;
    this.#endedMs = this.#services.ledger.nowMs;
    this.#socket.end();
  }

  #write(): void {
    const { buffers } = this.#services;
    while (this.#lent === undefined && !this.#socket.destroyed) {
      const buffer = buffers.take();
      const bytes = this.machine.outbound.produce(buffer);
      if (bytes === 0) {
        buffers.giveBack(buffer);
        break;
      }
      this.#writes++;
      this.#socket.write(buffer.subarray(0, bytes), this.#written);
      if (this.#socket.writableLength === 0) {
        buffers.giveBack(buffer);
      } else {
        this.#lent = buffer;
        this.stuckSinceMs = this.#services.ledger.nowMs;
        this.#services.ledger.responseBytes += WRITE_BUFFER_BYTES;
      }
    }
  }

  #giveBack(): void {
    if (this.#lent === undefined) return;
    this.#services.ledger.responseBytes -= WRITE_BUFFER_BYTES;
    if (!this.#socket.destroyed) this.#services.buffers.giveBack(this.#lent);
    this.#lent = undefined;
    this.stuckSinceMs = undefined;
  }

  sweep(): void {
    this.machine.sweep();
    const nowMs = this.#services.ledger.nowMs;
    if (this.#endedMs !== undefined && nowMs - this.#endedMs >= FAREWELL_MS) this.#socket.destroy();
    else if (this.machine.failure !== undefined && this.#lent !== undefined) this.destroy('stuck');
    else this.#askForFlush();
  }

  destroy(reason: string): void {
    this.machine.lost(reason);
    this.#socket.destroy();
  }
}
