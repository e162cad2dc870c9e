// How services are written and called here, free of any gRPC library: handlers take plain values and ports, clients
// give plain values and promises. `grpc-server.ts` and `grpc-client.ts` put them on the wire. The shapes fit those that
// the services declare for themselves, so that a handler needs no import of this package.
import { codeOf, ERRORS, type Fault, FaultError } from '@fulmar/core/errors.ts';

/** One call, as far as a handler needs to know it. */
export interface CallContext {
  /** The first value of a request header, by its lower-case name. */
  header(name: string): string | undefined;
  /** `:authority`, the `host:port` under which the client addressed this server; empty when unknown. */
  readonly authority: string;
  /** Address of the other end of the connection; only for logs. */
  readonly peer: string;
  /** Milliseconds that the caller would still wait when the handler was started; undefined for no deadline. */
  readonly remainingMs: number | undefined;
  /**
   * The listener runs once if the call ends before its answer was completely handed to the network: cancelled, past its
   * deadline, or the connection broke. At once if that has already happened.
   */
  onCancel(listener: () => void): void;
}

export type UnaryHandler<Request, Response> = (call: CallContext, request: Request) => Response | Promise<Response>;

export interface ResponseSink<Frame> {
  /**
   * False when the stream is broken: neither this frame nor a later one will arrive. Frames of one turn travel
   * together.
   */
  write(frame: Frame): boolean;
  /** Frames written and not yet taken by the network. */
  waitingMessages(): number;
  /** Runs each time the network has taken everything that was written. */
  onDrain(listener: () => void): void;
  /** Ends the stream with gRPC status OK. */
  end(): void;
  /** Ends the stream with another gRPC status, behind what was written. */
  fail(grpcStatus: number, message: string): void;
}

/** May settle before the sink is ended; a rejection ends the stream with an error. */
export type StreamHandler<Request, Frame> = (
  call: CallContext,
  request: Request,
  sink: ResponseSink<Frame>,
) => void | Promise<void>;

/** The server's side of a stream in both directions. Every event also comes when it is late to listen for it. */
export interface DuplexPort<In, Out> {
  /** Sends the response headers now, before any message. */
  sendHeaders(): void;
  onMessage(listener: (message: In) => void): void;
  /** The client will send no more. */
  onEnd(listener: () => void): void;
  /** The stream is gone, for whatever reason; runs once. */
  onClose(listener: () => void): void;
  /** Runs each time the network has taken everything that was written. */
  onDrain(listener: () => void): void;
  /** Never waits. False when the stream is broken. `flushed` runs when the network has taken this message. */
  write(message: Out, flushed?: () => void): boolean;
  waitingMessages(): number;
  /** Stops and restarts reading; what the client sends meanwhile waits on its side. */
  pause(): void;
  resume(): void;
  end(): void;
  fail(grpcStatus: number, message: string): void;
}

export type DuplexHandler<In, Out> = (call: CallContext, port: DuplexPort<In, Out>) => void;

/** Replaces what the proto says about the bytes of a method. */
export interface Codec<Request, Response> {
  readonly decodeRequest?: (bytes: Buffer) => Request;
  readonly encodeRequest?: (request: Request) => Buffer;
  readonly decodeResponse?: (bytes: Buffer) => Response;
  readonly encodeResponse?: (response: Response) => Buffer;
}

const same = (bytes: Buffer): Buffer => bytes;

/** For methods that read and write their own protobuf: bytes in, bytes out. */
export const RAW: Codec<Buffer, Buffer> = {
  decodeRequest: same,
  encodeRequest: same,
  decodeResponse: same,
  encodeResponse: same,
};

// What a method's values are is known where it is written, not here.
// biome-ignore lint/suspicious/noExplicitAny: a list of methods has as many types as methods
type Any = any;

export type MethodBinding =
  | { readonly kind: 'unary'; readonly handler: UnaryHandler<Any, Any>; readonly codec: Codec<Any, Any> }
  | { readonly kind: 'stream'; readonly handler: StreamHandler<Any, Any>; readonly codec: Codec<Any, Any> }
  | { readonly kind: 'duplex'; readonly handler: DuplexHandler<Any, Any>; readonly codec: Codec<Any, Any> };

export function unary<Request, Response>(
  handler: UnaryHandler<Request, Response>,
  codec: Codec<Request, Response> = {},
): MethodBinding {
  return { kind: 'unary', handler, codec };
}

export function stream<Request, Frame>(
  handler: StreamHandler<Request, Frame>,
  codec: Codec<Request, Frame> = {},
): MethodBinding {
  return { kind: 'stream', handler, codec };
}

export function duplex<In, Out>(handler: DuplexHandler<In, Out>, codec: Codec<In, Out> = {}): MethodBinding {
  return { kind: 'duplex', handler, codec };
}

/**
 * A service and what carries out its methods, named as in the proto. Methods that are left out answer UNIMPLEMENTED.
 */
export interface ServiceBinding {
  /** Full name, such as `fulmar.v1.Admin`. */
  readonly service: string;
  readonly methods: Readonly<Record<string, MethodBinding>>;
}

export const GRPC_STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** The trailer that carries the in-band code of a failed `fulmar.v1` call, in decimal. */
export const FULMAR_CODE = 'fulmar-code';

/** A call that ended with another status than OK: thrown by handlers and by clients. */
export class RpcFailure extends Error {
  readonly grpcStatus: number;
  /** In-band code of the trailer `fulmar-code`; undefined without one. */
  readonly fulmarCode: number | undefined;

  constructor(grpcStatus: number, message: string, fulmarCode?: number) {
    super(message);
    this.name = 'RpcFailure';
    this.grpcStatus = grpcStatus;
    this.fulmarCode = fulmarCode;
  }
}

export function failureOf(fault: Fault): RpcFailure {
  return new RpcFailure(ERRORS[fault.error].grpc, fault.message, codeOf(fault));
}

/** What a handler threw, as a caller may see it; undefined if it is a bug, whose text stays in the log. */
export function expectedFailure(thrown: unknown): RpcFailure | undefined {
  if (thrown instanceof RpcFailure) return thrown;
  if (thrown instanceof FaultError) return failureOf(thrown.fault);
  return undefined;
}

export const UNEXPECTED = new RpcFailure(
  GRPC_STATUS.INTERNAL,
  'The server met an unexpected error; its log has the details. Repeat the request.',
  50001,
);
