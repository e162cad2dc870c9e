// The one table of errors. Each row: the in-band code of `apache.rocketmq.v2` that official clients judge by, the gRPC
// status for our own services, who may usefully retry, and how loudly the server logs it. Codes never change; texts
// may. Faults are ordinary values in hot paths; `throw` is for bugs and for a start that cannot go on.

/** Who can make a failed call succeed by repeating it. */
export type RetryBy = 'nobody' | 'client-later' | 'proxy-once' | 'client-elsewhere';

interface ErrorRow {
  readonly code: number;
  /** gRPC status code used by `fulmar.v1` services; public RPCs answer gRPC OK with the in-band code. */
  readonly grpc: number;
  readonly retryBy: RetryBy;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
}

const row = (code: number, grpc: number, retryBy: RetryBy, level: ErrorRow['level']): ErrorRow => ({
  code,
  grpc,
  retryBy,
  level,
});

const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

export const ERRORS = {
  BAD_REQUEST: row(40000, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_ACCESS_POINT: row(40001, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_TOPIC: row(40002, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_CONSUMER_GROUP: row(40003, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_MESSAGE_TAG: row(40004, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_MESSAGE_KEY: row(40005, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_MESSAGE_GROUP: row(40006, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_MESSAGE_PROPERTY_KEY: row(40007, INVALID_ARGUMENT, 'nobody', 'debug'),
  INVALID_TRANSACTION_ID: row(40008, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_MESSAGE_ID: row(40009, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_FILTER_EXPRESSION: row(40010, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_INVISIBLE_TIME: row(40011, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_DELIVERY_TIME: row(40012, INVALID_ARGUMENT, 'nobody', 'debug'),
  INVALID_RECEIPT_HANDLE: row(40013, INVALID_ARGUMENT, 'nobody', 'debug'),
  MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: row(40014, INVALID_ARGUMENT, 'nobody', 'debug'),
  UNRECOGNIZED_CLIENT_TYPE: row(40015, INVALID_ARGUMENT, 'nobody', 'debug'),
  MESSAGE_CORRUPTED: row(40016, INVALID_ARGUMENT, 'nobody', 'debug'),
  CLIENT_ID_REQUIRED: row(40017, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_POLLING_TIME: row(40018, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_OFFSET: row(40019, INVALID_ARGUMENT, 'nobody', 'debug'),
  ILLEGAL_LITE_TOPIC: row(40020, INVALID_ARGUMENT, 'nobody', 'debug'),
  UNAUTHORIZED: row(40100, UNAUTHENTICATED, 'nobody', 'info'),
  FORBIDDEN: row(40300, PERMISSION_DENIED, 'nobody', 'info'),
  NOT_FOUND: row(40400, NOT_FOUND, 'nobody', 'debug'),
  MESSAGE_NOT_FOUND: row(40401, NOT_FOUND, 'nobody', 'debug'),
  TOPIC_NOT_FOUND: row(40402, NOT_FOUND, 'nobody', 'debug'),
  CONSUMER_GROUP_NOT_FOUND: row(40403, NOT_FOUND, 'nobody', 'debug'),
  OFFSET_NOT_FOUND: row(40404, NOT_FOUND, 'nobody', 'debug'),
  PAYLOAD_TOO_LARGE: row(41300, INVALID_ARGUMENT, 'nobody', 'debug'),
  MESSAGE_BODY_TOO_LARGE: row(41301, INVALID_ARGUMENT, 'nobody', 'debug'),
  MESSAGE_BODY_EMPTY: row(41302, INVALID_ARGUMENT, 'nobody', 'debug'),
  PRECONDITION_FAILED: row(42800, FAILED_PRECONDITION, 'nobody', 'debug'),
  TOO_MANY_REQUESTS: row(42900, RESOURCE_EXHAUSTED, 'client-later', 'warn'),
  LITE_TOPIC_QUOTA_EXCEEDED: row(42901, RESOURCE_EXHAUSTED, 'nobody', 'info'),
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: row(42902, RESOURCE_EXHAUSTED, 'nobody', 'info'),
  MESSAGE_PROPERTIES_TOO_LARGE: row(43101, INVALID_ARGUMENT, 'nobody', 'debug'),
  INTERNAL_SERVER_ERROR: row(50001, INTERNAL, 'client-elsewhere', 'error'),
  HA_NOT_AVAILABLE: row(50002, UNAVAILABLE, 'client-elsewhere', 'warn'),
  NOT_IMPLEMENTED: row(50100, UNIMPLEMENTED, 'nobody', 'info'),
  PROXY_TIMEOUT: row(50400, DEADLINE_EXCEEDED, 'client-elsewhere', 'warn'),
  MASTER_PERSISTENCE_TIMEOUT: row(50401, DEADLINE_EXCEEDED, 'client-elsewhere', 'warn'),
  SLAVE_PERSISTENCE_TIMEOUT: row(50402, DEADLINE_EXCEEDED, 'client-elsewhere', 'warn'),
  /** The broker asked is not the master of its set; only inside the cluster, the proxy repeats the call once. */
  NOT_MASTER: row(50003, FAILED_PRECONDITION, 'proxy-once', 'info'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorName = keyof typeof ERRORS;

export const OK = 20000;
export const MULTIPLE_RESULTS = 30000;

/** Why a request was not carried out: a name of the table and one sentence that says what to do about it. */
export interface Fault {
  readonly error: ErrorName;
  readonly message: string;
}

export function fault(error: ErrorName, message: string): Fault {
  return { error, message };
}

/** A value or the reason why there is none. */
export type Outcome<T> =
  | { readonly fault?: undefined; readonly value: T }
  | { readonly fault: Fault; readonly value?: undefined };

export function success<T>(value: T): Outcome<T> {
  return { value };
}

export function failure(error: ErrorName, message: string): { readonly fault: Fault } {
  return { fault: { error, message } };
}

export function codeOf(of: Fault): number {
  return ERRORS[of.error].code;
}

const nameByCode = new Map<number, ErrorName>(
  (Object.keys(ERRORS) as ErrorName[]).map((name) => [ERRORS[name].code, name]),
);

/** The row of an in-band code; codes that this version does not know degrade to INTERNAL_SERVER_ERROR. */
export function errorNameOf(code: number): ErrorName {
  return nameByCode.get(code) ?? 'INTERNAL_SERVER_ERROR';
}

/** A fault carried by an exception, for start-up and for admin paths where speed does not matter. */
export class FaultError extends Error {
  readonly fault: Fault;

  constructor(of: Fault, options?: ErrorOptions) {
    super(of.message, options);
    this.name = 'FaultError';
    this.fault = of;
  }
}

/** Turns whatever was thrown into a fault; never throws itself. The text of an unknown error stays in the log. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof FaultError) return thrown.fault;
  return fault(
    'INTERNAL_SERVER_ERROR',
    'The server met an unexpected error; its log has the details. Repeat the request.',
  );
}

/** Stops what is wrong inside the program. Never used for what a caller can cause. */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${sentence}`);
}
