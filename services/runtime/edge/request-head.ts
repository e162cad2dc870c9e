// What the header block of a request says, read once for all requests that repeat the block: whether HTTP/2 allows it
// (RFC 9113 section 8.3.1), and the few fields that gRPC acts upon. Everything else waits until somebody asks for it.
import { timeoutMs } from '../grpc-timeout.ts';
import { type Field, KIND } from './header-field.ts';

export interface RequestHead {
  /** False: the stream ends with PROTOCOL_ERROR. */
  readonly wellFormed: boolean;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly contentType: string;
  /** -1 if none was named. */
  readonly contentLength: number;
  /** How long the client waits; undefined for no deadline. */
  readonly timeoutMs: number | undefined;
  /** `grpc-encoding`. */
  readonly encoding: string;
  readonly fields: readonly Field[];
  /** Size of the list as RFC 9113 section 6.5.2 counts it. */
  readonly listBytes: number;
}

const MALFORMED: RequestHead = {
  wellFormed: false,
  method: '',
  path: '',
  authority: '',
  contentType: '',
  contentLength: -1,
  timeoutMs: undefined,
  encoding: 'identity',
  fields: [],
  listBytes: 0,
};

/** The longest that a timer can hold; deadlines beyond are decades away and mean "none". */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** More digits cannot be counted exactly, and no request is so long. */
const LENGTH_DIGITS_MAX = 15;

function lengthOf(value: string): number | undefined {
  if (value.length === 0 || value.length > LENGTH_DIGITS_MAX) return undefined;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  return Number(value);
}

export function readHead(fields: readonly Field[]): RequestHead {
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let host = '';
  let contentType = '';
  let contentLength = -1;
  let timeout: number | undefined;
  let encoding = 'identity';
  let regular = false;
  let listBytes = 0;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const value = field.value;
    listBytes += field.sizeBytes;
    if (field.kind >= KIND.METHOD && field.kind <= KIND.AUTHORITY && regular) return MALFORMED;
    switch (field.kind) {
      case KIND.FORBIDDEN:
        return MALFORMED;
      case KIND.METHOD:
        if (method !== undefined) return MALFORMED;
        method = value;
        continue;
      case KIND.SCHEME:
        if (scheme !== undefined) return MALFORMED;
        scheme = value;
        continue;
      case KIND.PATH:
        if (path !== undefined || value === '') return MALFORMED;
        path = value;
        continue;
      case KIND.AUTHORITY:
        if (authority !== undefined) return MALFORMED;
        authority = value;
        continue;
      case KIND.CONTENT_TYPE:
        contentType = value;
        break;
      case KIND.CONTENT_LENGTH: {
        const length = lengthOf(value);
        if (length === undefined || (contentLength >= 0 && contentLength !== length)) return MALFORMED;
        contentLength = length;
        break;
      }
      case KIND.TIMEOUT:
        timeout = timeoutMs(value);
        break;
      case KIND.ENCODING:
        encoding = value;
        break;
      default:
        if (field.name === 'host') host = value;
    }
    regular = true;
  }
  if (method === undefined || scheme === undefined || path === undefined) return MALFORMED;
  return {
    wellFormed: true,
    method,
    path,
    authority: authority ?? host,
    contentType,
    contentLength,
    timeoutMs: timeout !== undefined && timeout <= LONGEST_TIMER_MS ? timeout : undefined,
    encoding,
    fields,
    listBytes,
  };
}

/**
 * Trailers of a request carry nothing that the server uses; they only may not be malformed (RFC 9113 section 8.1).
 */
export function areGoodTrailers(fields: readonly Field[]): boolean {
  return fields.every(({ kind }) => kind !== KIND.FORBIDDEN && (kind < KIND.METHOD || kind > KIND.AUTHORITY));
}
