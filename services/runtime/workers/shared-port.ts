// The port that several workers share, held by their parent: it accepts connections and hands them on unread. The
// parent alone holds it, so a worker that ends takes no waiting connection with it, and a second proxy on the same port
// is refused as ever.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { listen, SOCKET_OPTIONS } from '../one-port.ts';

export interface SharedPort {
  readonly port: number;
  close(): void;
}

export async function openSharedPort(
  host: string,
  port: number,
  onConnection: (socket: Socket) => void,
): Promise<SharedPort> {
  const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true });
  server.on('connection', (socket) => {
    // What breaks it is seen by the worker that gets it.
    socket.on('error', () => {});
    onConnection(socket);
  });
  await listen(server, host, port);
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
