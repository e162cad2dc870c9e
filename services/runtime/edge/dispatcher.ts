// Begins a call for each request: finds its method, and answers what is no gRPC call, or none that this server has.
import { GRPC_STATUS, RpcFailure } from '../rpc.ts';
import type { CallServices } from './call.ts';
import { DuplexCall } from './duplex-call.ts';
import { PACKED_ENCODINGS } from './inflater.ts';
import type { Method } from './methods.ts';
import type { RequestHead } from './request-head.ts';
import { httpStatusBlock, statusTrailers, unknownEncodingTrailers } from './status-trailers.ts';
import type { HttpStream, StreamConsumer } from './stream.ts';
import { StreamCall } from './stream-call.ts';
import { UnaryCall } from './unary-call.ts';

const CONTENT_TYPE = 'application/grpc';
const METHOD_NOT_ALLOWED = httpStatusBlock(405);
const UNSUPPORTED_MEDIA_TYPE = httpStatusBlock(415);

/** Of streams that are answered already; what still arrives on them does not get here. */
const NOBODY: StreamConsumer = {
  dataReceived() {},
  endReceived() {},
  aborted() {},
  flushed() {},
};

/** `application/grpc`, alone or followed by `+proto` or parameters. */
function isGrpc(contentType: string): boolean {
  if (!contentType.startsWith(CONTENT_TYPE)) return false;
  const next = contentType[CONTENT_TYPE.length];
  return next === undefined || next === '+' || next === ';';
}

export function dispatcher(methods: ReadonlyMap<string, Method>, services: CallServices) {
  return (stream: HttpStream, head: RequestHead, peer: string): StreamConsumer => {
    if (head.method !== 'POST' || !isGrpc(head.contentType)) {
      stream.headersSent = true;
      stream.finish(head.method !== 'POST' ? METHOD_NOT_ALLOWED : UNSUPPORTED_MEDIA_TYPE);
      return NOBODY;
    }
    const method = methods.get(head.path);
    if (method === undefined) {
      const text = `The server does not implement the method ${head.path}`;
      stream.finish(statusTrailers(new RpcFailure(GRPC_STATUS.UNIMPLEMENTED, text)));
      return NOBODY;
    }
    if (head.encoding !== 'identity' && !PACKED_ENCODINGS.has(head.encoding)) {
      const text = `Messages in the encoding ${head.encoding} are not understood.`;
      stream.finish(unknownEncodingTrailers(new RpcFailure(GRPC_STATUS.UNIMPLEMENTED, text)));
      return NOBODY;
    }
    const call = callOf(stream, head, method, peer, services);
    stream.consumer = call;
    call.begun();
    if (call instanceof DuplexCall) call.run();
    return call;
  };
}

function callOf(
  stream: HttpStream,
  head: RequestHead,
  method: Method,
  peer: string,
  services: CallServices,
): UnaryCall | StreamCall | DuplexCall {
  switch (method.binding.kind) {
    case 'unary':
      return new UnaryCall(stream, head, method, peer, services);
    case 'stream':
      return new StreamCall(stream, head, method, peer, services);
    case 'duplex':
      return new DuplexCall(stream, head, method, peer, services);
  }
}
