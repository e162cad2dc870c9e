// What a transport hands to the handlers and takes from them. Nothing here knows which library carries the call, so the
// same handlers run over gRPC and, in tests, over plain objects.

/** One call of a client, as far as handlers need to know it. */
export interface CallContext {
  /** The first value of a request header, by its lower-case name. */
  header(name: string): string | undefined;
  /** `host:port` under which the client addressed this server (`:authority`); empty when unknown. */
  readonly authority: string;
  /** Address of the other end of the connection; only for logs. */
  readonly peer: string;
  /** Milliseconds that the caller would still wait when the handler was started; undefined for no deadline. */
  readonly remainingMs: number | undefined;
  /**
   * The listener runs once if the call ends before its answer was completely handed to the network: the client
   * cancelled, its deadline passed, or the connection broke. At once if that has already happened.
   */
  onCancel(listener: () => void): void;
}

/** Answers every request with a value; rejects only because of a bug. */
export type UnaryHandler<Request, Response> = (call: CallContext, request: Request) => Promise<Response>;

/** Takes the bytes of the request message and gives the bytes of the response message. */
export type RawUnaryHandler = UnaryHandler<Buffer, Buffer>;

export interface ResponseSink<Frame> {
  /** False when the stream is already broken: neither this frame nor a later one will arrive. */
  write(frame: Frame): boolean;
  /** Ends the stream with gRPC status OK. */
  end(): void;
}

/** Settles when the handler has written its last frame. */
export type StreamHandler<Request, Frame> = (
  call: CallContext,
  request: Request,
  sink: ResponseSink<Frame>,
) => Promise<void>;

/** Both directions of one Telemetry stream. */
export interface TelemetryPort<Command> {
  /** Sends the response headers now, before any message. */
  sendHeaders(): void;
  onMessage(listener: (command: Command) => void): void;
  /** The client will send no more (half-close). */
  onEnd(listener: () => void): void;
  /** The stream is gone, for whatever reason; runs once. */
  onClose(listener: () => void): void;
  /** Never waits. False when the stream is already broken. */
  write(command: Command): boolean;
  /** Commands written and not yet taken by the network. */
  waitingMessages(): number;
  /** Ends the stream with gRPC status OK. */
  end(): void;
  /** Ends the stream with another gRPC status, behind what was written. */
  fail(grpcStatus: number, message: string): void;
}

export type TelemetryHandler<Command> = (call: CallContext, port: TelemetryPort<Command>) => void;
