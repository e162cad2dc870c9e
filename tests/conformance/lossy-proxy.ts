// A TCP proxy in front of a server, with the two ways in which a network takes an answer away: refusing connections,
// and carrying requests but no answers.
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

export interface LossyProxy {
  readonly port: number;
  /** Breaks what is connected and refuses what comes. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** From now on requests arrive and answers do not. */
  swallowAnswers(): void;
  /** What is connected breaks now, and answers travel again. */
  breakConnections(): void;
  close(): Promise<void>;
}

export async function startLossyProxy(targetPort: number): Promise<LossyProxy> {
  const sockets = new Set<Socket>();
  let swallowing = false;
  const server: Server = createServer((near) => {
    const far = dial(targetPort, '127.0.0.1').setNoDelay();
    near.setNoDelay();
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('data', (bytes) => {
        if (from === near || !swallowing) to.write(bytes);
      });
    }
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const breakConnections = () => {
    swallowing = false;
    for (const socket of sockets) socket.destroy();
  };
  const down = async () => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    breakConnections();
    await closed;
  };
  return {
    port,
    down,
    up: () => listen(port),
    swallowAnswers: () => {
      swallowing = true;
    },
    breakConnections,
    close: down,
  };
}
