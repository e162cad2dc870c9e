// The HTTP/2 connections of a server: who is there, who has not said hello, who has been idle for minutes. Clients that
// have a stream open, or ping, are never idle. Ending a connection is graceful: streams that run may finish.
import type { Http2Session, ServerHttp2Session } from 'node:http2';
import type { Observer } from '@fulmar/core/ports.ts';

export interface ConnectionLimits {
  /** A connection without HTTP/2 settings from the other side is closed after this time. */
  readonly helloMs: number;
  /** A connection without streams and pings is closed after this time. */
  readonly idleMs: number;
}

interface Connection {
  greeted: boolean;
  streams: number;
  activeMs: number;
}

export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #observe: (connections: number) => void;
  readonly #open = new Map<Http2Session, Connection>();
  #emptied: (() => void) | undefined;

  /** `service` names the port for metrics. */
  constructor(limits: ConnectionLimits, service: string, observer: Observer) {
    this.#limits = limits;
    this.#observe = observer.bind('fulmar_grpc_connections', { service });
  }

  get count(): number {
    return this.#open.size;
  }

  add(session: ServerHttp2Session): void {
    const connection: Connection = { greeted: false, streams: 0, activeMs: performance.now() };
    this.#open.set(session, connection);
    this.#report();
    session.once('remoteSettings', () => {
      connection.greeted = true;
    });
    session.on('ping', () => {
      connection.activeMs = performance.now();
    });
    session.on('stream', (stream) => {
      connection.streams++;
      stream.once('close', () => {
        connection.streams--;
        connection.activeMs = performance.now();
      });
    });
    // Broken connections are ordinary; without a listener some of their errors would end the process.
    session.on('error', () => {});
    session.once('close', () => {
      this.#open.delete(session);
      this.#report();
      if (this.#open.size === 0) this.#emptied?.();
    });
  }

  #report(): void {
    this.#observe(this.#open.size);
  }

  /** To be called every few seconds. */
  sweep(nowMs: number): void {
    for (const [session, connection] of this.#open) {
      const silentMs = nowMs - connection.activeMs;
      if (!connection.greeted && silentMs >= this.#limits.helloMs) session.destroy();
      else if (connection.streams === 0 && silentMs >= this.#limits.idleMs) session.close();
    }
  }

  /** Tells every client to go elsewhere (GOAWAY), waits for its streams, and breaks what is left at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    const done = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    for (const session of this.#open.keys()) session.close();
    const timer = setTimeout(() => {
      for (const session of this.#open.keys()) session.destroy();
    }, deadlineMs);
    await done;
    clearTimeout(timer);
  }
}
