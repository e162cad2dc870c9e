// One TCP port for TLS and plaintext: the first byte of a connection tells which (a TLS record begins with 0x16). Hands
// on sockets of decrypted bytes. A connection that shows no first byte or no finished handshake in time is closed.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { KeyPair } from './certificates.ts';
import type { Refusal } from './refusals.ts';

/** Where connections come from that another process has accepted. */
export interface ConnectionSource {
  /** On which they were accepted. */
  readonly port: number;
  /** Called once. */
  onConnection(take: (socket: Socket) => void): void;
  /** Takes no more. */
  close(): void;
}

export interface OnePortOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** In place of a port of this process. */
  readonly source?: ConnectionSource;
  /** Absent: connections that begin with TLS are closed. */
  readonly tls?: KeyPair;
  /** Whether connections without TLS are taken. */
  readonly plaintext: boolean;
  /** Beyond it new connections are closed at once. */
  readonly connectionsMax: number;
  readonly handshakeMs: number;
  readonly onConnection: (socket: Socket) => void;
  readonly onRefused: (refusal: Refusal) => void;
}

export interface OnePort {
  readonly port: number;
  /** Whether clients have to show a certificate stays as it was at the start. */
  setKeyPair(pair: KeyPair): void;
  /** Takes no more connections; those that are there stay. */
  close(): void;
}

const TLS_HANDSHAKE = 0x16;
export const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

function ignoreErrors(socket: Socket): void {
  // What breaks a connection of a stranger is no news; the socket is closed in any case.
  socket.on('error', () => {});
}

export async function openOnePort(options: OnePortOptions): Promise<OnePort> {
  const tls = options.tls === undefined ? undefined : tlsServer(options, options.tls);
  const admit = (socket: Socket): void => {
    ignoreErrors(socket);
    const timer = setTimeout(() => {
      options.onRefused({ reason: 'silent', peer: peerOf(socket) });
      socket.destroy();
    }, options.handshakeMs);
    socket.once('close', () => clearTimeout(timer));
    socket.once('readable', () => {
      clearTimeout(timer);
      const first: Buffer | null = socket.read(1);
      if (first === null) {
        socket.destroy();
        return;
      }
      socket.unshift(first);
      const encrypted = first[0] === TLS_HANDSHAKE;
      if (encrypted && tls !== undefined) tls.emit('connection', socket);
      else if (!encrypted && options.plaintext) options.onConnection(socket);
      else {
        options.onRefused({ reason: encrypted ? 'no-tls' : 'no-plaintext', peer: peerOf(socket) });
        socket.destroy();
      }
    });
  };
  const { source } = options;
  const door = source === undefined ? await openDoor(options, admit) : watchSource(source, options, admit);
  return {
    port: door.port,
    setKeyPair: (pair) => tls?.setSecureContext(contextOf(pair)),
    close: () => {
      door.close();
      tls?.close();
    },
  };
}

async function openDoor(
  options: OnePortOptions,
  admit: (socket: Socket) => void,
): Promise<Omit<OnePort, 'setKeyPair'>> {
  const server = createServer(SOCKET_OPTIONS);
  server.maxConnections = options.connectionsMax;
  server.on('drop', (dropped) => options.onRefused({ reason: 'too-many', peer: dropped?.remoteAddress ?? '' }));
  server.on('connection', admit);
  await listen(server, options.host, options.port);
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** The same bound as that of a port. */
function watchSource(
  source: ConnectionSource,
  { connectionsMax, onRefused }: OnePortOptions,
  admit: (socket: Socket) => void,
): Omit<OnePort, 'setKeyPair'> {
  let open = 0;
  source.onConnection((socket) => {
    if (open >= connectionsMax) {
      onRefused({ reason: 'too-many', peer: peerOf(socket) });
      socket.destroy();
      return;
    }
    open++;
    socket.once('close', () => open--);
    admit(socket);
  });
  return { port: source.port, close: () => source.close() };
}

function contextOf({ key, cert, clientCa }: KeyPair) {
  return { key, cert, ...(clientCa === undefined ? {} : { ca: clientCa }), minVersion: 'TLSv1.2' } as const;
}

function tlsServer(options: OnePortOptions, pair: KeyPair): TlsServer {
  const asks = pair.clientCa !== undefined;
  const server = createTlsServer({
    ...contextOf(pair),
    // Whoever is not authorised is turned away below, where it is still known who that was.
    ...(asks ? { requestCert: true, rejectUnauthorized: false } : {}),
    ALPNProtocols: ['h2'],
    handshakeTimeout: options.handshakeMs,
  });
  server.on('secureConnection', (socket) => {
    ignoreErrors(socket);
    if (!asks || socket.authorized) {
      options.onConnection(socket);
      return;
    }
    options.onRefused(refusalOf(socket));
    socket.destroy();
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    options.onRefused({ reason: 'handshake', peer: peerOf(socket), detail: error.code ?? error.message });
    socket.destroy();
  });
  return server;
}

function refusalOf(socket: TLSSocket): Refusal {
  const hasShown = socket.getPeerX509Certificate() !== undefined;
  return {
    reason: hasShown ? 'foreign-certificate' : 'no-certificate',
    peer: peerOf(socket),
    detail: String(socket.authorizationError),
  };
}

function peerOf(socket: Socket): string {
  return socket.remoteAddress ?? '';
}

export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}
