// HTTP/2 by hand, frame by frame, for what no library would send: half a frame, headers beyond measure, a client that
// asks for answers and never reads them. Headers are written as plain literals, which every server has to understand.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export const FRAME = { data: 0, headers: 1, resetStream: 3, settings: 4, ping: 6, windowUpdate: 8, continuation: 9 };
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** The largest frame that a server takes unless it says otherwise. */
const FRAME_BYTES_MAX = 16_384;
const WINDOW_MAX = 2 ** 31 - 1;
const WINDOW_AT_FIRST = 65_535;
const INITIAL_WINDOW_SIZE = 4;

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Settings and window of a client that lets the server send as much as it likes. */
export function boundlessWindow(): Buffer {
  const setting = Buffer.alloc(6);
  setting.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
  setting.writeUInt32BE(WINDOW_MAX, 2);
  const more = Buffer.alloc(4);
  more.writeUInt32BE(WINDOW_MAX - WINDOW_AT_FIRST, 0);
  return Buffer.concat([frame(FRAME.settings, 0, 0, setting), frame(FRAME.windowUpdate, 0, 0, more)]);
}

export function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  let rest = bytes.length;
  if (rest < 127) length.push(rest);
  else {
    length.push(127);
    for (rest -= 127; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

export function headerBlock(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}

/** HEADERS and as many CONTINUATION frames as they need. */
export function headersFrames(streamId: number, headers: readonly (readonly [string, string])[]): Buffer {
  const block = headerBlock(headers);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += FRAME_BYTES_MAX) {
    const isLast = at + FRAME_BYTES_MAX >= block.length;
    const type = at === 0 ? FRAME.headers : FRAME.continuation;
    frames.push(frame(type, isLast ? END_HEADERS : 0, streamId, block.subarray(at, at + FRAME_BYTES_MAX)));
  }
  return Buffer.concat(frames);
}

export function grpcHeaders(path: string, more: readonly (readonly [string, string])[] = []): [string, string][] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more.map(([name, value]): [string, string] => [name, value]),
  ];
}

/** A gRPC message in DATA frames; the client says no more after it. */
export function messageFrames(streamId: number, message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const bytes = Buffer.concat([prefix, message]);
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX) {
    const isLast = at + FRAME_BYTES_MAX >= bytes.length;
    const part = bytes.subarray(at, at + FRAME_BYTES_MAX);
    frames.push(frame(FRAME.data, isLast ? END_STREAM : 0, streamId, part));
  }
  return Buffer.concat(frames);
}

const sockets = new Set<Socket>();

/** A plain TCP connection to host:port. Whoever breaks it is no news. */
export async function openSocket(endpoint: string): Promise<Socket> {
  const [host = '', port] = endpoint.split(':');
  const socket = connect({ host, port: Number(port) });
  sockets.add(socket);
  socket.on('error', () => {});
  socket.once('close', () => sockets.delete(socket));
  await once(socket, 'connect');
  return socket;
}

/** For `afterEach`. */
export function closeSockets(): void {
  for (const socket of sockets) socket.destroy();
}
