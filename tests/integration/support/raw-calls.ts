// gRPC calls whose bytes are chosen freely, over a real HTTP/2 library, and what came back of them: how the stream
// ended, and the status that a gRPC client would see.
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';

export interface RawAnswer {
  /** Undefined when the stream ended without one. */
  readonly httpStatus: number | undefined;
  readonly grpcStatus: number | undefined;
  /** Code of the reset, 0 for an ordinary end. */
  readonly resetCode: number;
  readonly body: Buffer;
}

export class RawConnection {
  private readonly session: ClientHttp2Session;

  constructor(endpoint: string) {
    this.session = connect(`http://${endpoint}`, { maxSendHeaderBlockLength: 2 ** 20 });
    this.session.on('error', () => {});
  }

  get isClosed(): boolean {
    return this.session.closed || this.session.destroyed;
  }

  /** `bytes` is everything that the client sends, prefixes of messages included. */
  call(path: string, bytes: Uint8Array, headers: Record<string, string | string[]> = {}): Promise<RawAnswer> {
    return new Promise((resolve) => {
      const stream = this.session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'x-mq-client-id': 'raw',
        ...headers,
      });
      let seen: IncomingHttpHeaders = {};
      let httpStatus: number | undefined;
      const chunks: Buffer[] = [];
      stream.on('response', (response) => {
        httpStatus = Number(response[constants.HTTP2_HEADER_STATUS]);
        seen = { ...seen, ...response };
      });
      stream.on('trailers', (trailers) => {
        seen = { ...seen, ...trailers };
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', () => {});
      stream.on('close', () => {
        const status = seen['grpc-status'];
        const grpcStatus = status === undefined ? undefined : Number(status);
        resolve({ httpStatus, grpcStatus, resetCode: stream.rstCode ?? 0, body: Buffer.concat(chunks) });
      });
      stream.end(bytes);
    });
  }

  close(): void {
    this.session.destroy();
  }
}

/** A gRPC message as it stands on the wire; the length and the flag may lie. */
export function prefixed(message: Uint8Array, lengthBytes = message.length, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(lengthBytes, 1);
  return Buffer.concat([prefix, message]);
}
