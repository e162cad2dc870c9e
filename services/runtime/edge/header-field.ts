// One header field of a request, judged once when it is made: what the server has to know it for, and whether HTTP/2
// allows it in a request at all. Fields are kept in the tables of HPACK and shared by all requests that repeat them.

/** What a field is to this server. */
export const KIND = {
  OTHER: 0,
  METHOD: 1,
  SCHEME: 2,
  PATH: 3,
  AUTHORITY: 4,
  CONTENT_TYPE: 5,
  CONTENT_LENGTH: 6,
  TIMEOUT: 7,
  ENCODING: 8,
  /** Makes the whole request malformed: RFC 9113 sections 8.2 and 8.3. */
  FORBIDDEN: 9,
} as const;

const KINDS = new Map<string, number>([
  [':method', KIND.METHOD],
  [':scheme', KIND.SCHEME],
  [':path', KIND.PATH],
  [':authority', KIND.AUTHORITY],
  ['content-type', KIND.CONTENT_TYPE],
  ['content-length', KIND.CONTENT_LENGTH],
  ['grpc-timeout', KIND.TIMEOUT],
  ['grpc-encoding', KIND.ENCODING],
  // RFC 9113 section 8.2.2: these are about one connection of HTTP/1.
  ['connection', KIND.FORBIDDEN],
  ['keep-alive', KIND.FORBIDDEN],
  ['proxy-connection', KIND.FORBIDDEN],
  ['transfer-encoding', KIND.FORBIDDEN],
  ['upgrade', KIND.FORBIDDEN],
  // What official clients send, known to be good without looking at each letter.
  ...[
    'te',
    'user-agent',
    'authorization',
    'grpc-accept-encoding',
    'x-mq-client-id',
    'x-mq-language',
    'x-mq-client-version',
    'x-mq-protocol',
    'x-mq-request-id',
    'x-mq-date-time',
    'x-mq-namespace',
    'x-mq-session-token',
  ].map((name): [string, number] => [name, KIND.OTHER]),
]);

/** RFC 7541 section 4.1: what an entry costs beyond its text. */
const FIELD_OVERHEAD_BYTES = 32;

export interface Field {
  readonly name: string;
  readonly value: string;
  /** Of the name alone; a later field may take the name with another value. */
  readonly nameKind: number;
  readonly kind: number;
  readonly sizeBytes: number;
}

function kindOfName(name: string): number {
  const known = KINDS.get(name);
  if (known !== undefined) return known;
  if (name.length === 0) return KIND.FORBIDDEN;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    // RFC 9113 section 8.2.1; a colon begins the pseudo-header fields, of which no others exist in requests.
    if (code <= 0x20 || (code >= 0x41 && code <= 0x5a) || code >= 0x7f || code === 0x3a) return KIND.FORBIDDEN;
  }
  return KIND.OTHER;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** RFC 9113 section 8.2.1. */
function isAllowedValue(value: string): boolean {
  const length = value.length;
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    if (code <= 13 && (code === 0 || code === 10 || code === 13)) return false;
  }
  return length === 0 || !(isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1)));
}

function fieldOf(name: string, value: string, nameKind: number): Field {
  // `te` may say nothing but "trailers": RFC 9113 section 8.2.2.
  const allowed = isAllowedValue(value) && (name !== 'te' || value === 'trailers');
  return {
    name,
    value,
    nameKind,
    kind: allowed ? nameKind : KIND.FORBIDDEN,
    sizeBytes: name.length + value.length + FIELD_OVERHEAD_BYTES,
  };
}

/** A field with a name that has not been seen yet. */
export function newField(name: string, value: string): Field {
  return fieldOf(name, value, kindOfName(name));
}

/** A field with the name of another. */
export function renewedField(named: Field, value: string): Field {
  return fieldOf(named.name, value, named.nameKind);
}
