// What the relay does to connections: it keeps bytes in order however slow it is, and does as it is told.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Relay } from './relay.ts';

const HOST = '127.0.0.1';
let echo: Server;
let relay: Relay;
const sockets: Socket[] = [];
const others: Relay[] = [];

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, HOST);
  await once(echo, 'listening');
  relay = await Relay.start([target()], HOST);
});

afterEach(() => {
  for (const one of [relay, ...others.splice(0)]) one.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  echo.close();
});

const target = () => ({ host: HOST, port: (echo.address() as AddressInfo).port });

async function open(port = relay.port): Promise<Socket> {
  const socket = connect({ port, host: HOST, allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function bytesFrom(socket: Socket, count: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let got = 0; got < count; ) {
    const [piece] = (await once(socket, 'data')) as [Buffer];
    pieces.push(piece);
    got += piece.length;
  }
  return Buffer.concat(pieces);
}

test('what goes through a slow relay arrives whole, in order, and not before its time', async () => {
  relay.delay(40);
  const socket = await open();
  const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
  const begun = performance.now();
  socket.write(sent);
  expect((await bytesFrom(socket, sent.length)).equals(sent)).toBe(true);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(80 - 2);
});

test('a stalled relay passes nothing on, and everything once it is resumed', async () => {
  relay.stall();
  const socket = await open();
  let got = 0;
  socket.on('data', (piece: Buffer) => {
    got += piece.length;
  });
  socket.write('letter');
  // A second connection makes the round trip that the first must not.
  const witness = await Relay.start([target()], HOST);
  others.push(witness);
  const free = await open(witness.port);
  free.write('x');
  await bytesFrom(free, 1);
  expect(got).toBe(0);
  const arrived = once(socket, 'data');
  relay.resume();
  await arrived;
  expect(got).toBe(6);
});

test('a reset breaks every connection', async () => {
  const socket = await open();
  socket.write('letter');
  await bytesFrom(socket, 6);
  const broken = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  relay.reset();
  await broken;
  expect(relay.connections).toBe(0);
});

test('after a half-close the server has heard the last word and can still answer', async () => {
  const socket = await open();
  socket.write('letter');
  await bytesFrom(socket, 6);
  const ended = once(socket, 'end');
  socket.resume();
  relay.halfClose();
  await ended;
});

test('a connection that one target refuses goes to the next', async () => {
  const closed = createServer().listen(0, HOST);
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  const balancer = await Relay.start([{ host: HOST, port }, target()], HOST);
  others.push(balancer);
  const socket = await open(balancer.port);
  socket.write('letter');
  expect((await bytesFrom(socket, 6)).toString()).toBe('letter');
});
