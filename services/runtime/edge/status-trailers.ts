// The header block that ends a call which did not go well: `grpc-status`, `grpc-message`, and the in-band code of our
// own services. Also the answers to what is no gRPC call at all.
import { FULMAR_CODE, type RpcFailure } from '../rpc.ts';
import { plainBlock } from './response-blocks.ts';

/** Longer texts are cut: trailers have to fit into one frame, and into what clients take. */
const MESSAGE_BYTES_MAX = 2_048;

/** RFC 3986 percent-encoding of everything but plain ASCII, as gRPC has it for `grpc-message`. */
export function encodeMessage(message: string): string {
  const bytes = Buffer.from(message);
  let encoded = '';
  for (let i = 0; i < bytes.length && i < MESSAGE_BYTES_MAX; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) encoded += String.fromCharCode(byte);
    else encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  // No header value begins or ends with a blank: RFC 9113 section 8.2.1.
  return encoded.replace(/^ | $/g, '%20');
}

export function statusTrailers(failure: RpcFailure): Buffer {
  const fields: [string, string][] = [
    ['grpc-status', String(failure.grpcStatus)],
    ['grpc-message', encodeMessage(failure.message)],
  ];
  if (failure.fulmarCode !== undefined) fields.push([FULMAR_CODE, String(failure.fulmarCode)]);
  return plainBlock(fields);
}

export const ACCEPTED_ENCODINGS = 'identity,deflate,gzip';

/** For a request whose messages are packed in a way that nobody here can unpack. */
export function unknownEncodingTrailers(failure: RpcFailure): Buffer {
  return Buffer.concat([plainBlock([['grpc-accept-encoding', ACCEPTED_ENCODINGS]]), statusTrailers(failure)]);
}

/** A whole answer without gRPC. */
export function httpStatusBlock(status: number): Buffer {
  return plainBlock([[':status', String(status)]]);
}
