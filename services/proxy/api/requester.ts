// Who calls: what the headers of one request say about the client. All of them are claims; none is trusted for more
// than choosing the form of the answer, and a missing or odd one is never an error by itself.
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { CallContext } from './call.ts';

export interface Requester {
  /** Empty when the client gave none. */
  readonly clientId: string;
  /** Upper case as sent in `x-mq-language`: JAVA, GO, PYTHON, HTTP (Node), RUST, CPP, DOTNET, PHP; may be empty. */
  readonly language: string;
  readonly version: string;
  /** Namespace for resources that name none themselves. */
  readonly namespace: string;
  /** Address of the other end of the connection; only for people. */
  readonly peer: string;
}

export function requesterOf(call: CallContext): Requester {
  return {
    clientId: call.header('x-mq-client-id') ?? '',
    language: call.header('x-mq-language')?.toUpperCase() ?? '',
    version: call.header('x-mq-client-version') ?? '',
    namespace: call.header('x-mq-namespace') ?? '',
    peer: call.peer,
  };
}

export function checkClientId(clientId: string): Fault | undefined {
  if (clientId === '') {
    return fault('CLIENT_ID_REQUIRED', 'The header x-mq-client-id is missing. Send one that is unique to this client.');
  }
  if (clientId.length > LIMITS.clientIdLength) {
    return fault(
      'BAD_REQUEST',
      `The header x-mq-client-id is too long. Use at most ${LIMITS.clientIdLength} characters.`,
    );
  }
  return undefined;
}

/** Libraries that refuse a gRPC message above 4 MiB, and with it the whole answer that holds it. */
const FRAME_LIMITED_LANGUAGES = new Set(['HTTP', 'DOTNET', 'RUST', 'CPP', 'PHP']);
const SMALL_FRAME_BYTES = 4 * 1024 * 1024;

export function largestFrameBytes(language: string): number {
  return FRAME_LIMITED_LANGUAGES.has(language) ? SMALL_FRAME_BYTES : Number.POSITIVE_INFINITY;
}
