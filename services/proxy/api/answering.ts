// The frame around every unary handler: whatever goes wrong inside becomes an in-band status with gRPC OK, is logged as
// loudly as the error table says, and the call is counted. A handler throws a FaultError or returns its answer.
import { ERRORS, type Fault, FaultError, fault, faultOf, type Outcome } from '@fulmar/core/errors.ts';
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import type { CallContext, UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import type { Status } from './messages.ts';
import { checkClientId, type Requester, requesterOf } from './requester.ts';
import { statusOf } from './status.ts';

export interface Answer<Response> {
  /** The in-band code, for metrics. */
  readonly code: number;
  readonly response: Response;
}

export interface UnaryMethod<Request, Response> {
  readonly name: string;
  readonly needsClientId: boolean;
  /** Throws, or rejects with, a FaultError for a request that is refused as a whole. */
  handle(requester: Requester, request: Request, call: CallContext): Promise<Answer<Response>>;
  /** The response that carries a fault of the whole request and still mirrors what clients look for. */
  refuse(status: Status, request: Request): Response;
}

/** The value, or a FaultError that ends the handler. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.fault !== undefined) throw new FaultError(outcome.fault);
  return outcome.value;
}

export function refuseWith(of: Fault | undefined): void {
  if (of !== undefined) throw new FaultError(of);
}

export function thrownFault(context: Pick<ProxyContext, 'logger'>, method: string, thrown: unknown): Fault {
  if (thrown instanceof ProtobufError) {
    return fault('BAD_REQUEST', `The request cannot be read: ${thrown.message}. Look at what encodes it.`);
  }
  const found = faultOf(thrown);
  if (!(thrown instanceof FaultError)) {
    context.logger.error('a handler failed unexpectedly', {
      method,
      error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
    });
  }
  return found;
}

export function logFault(context: Pick<ProxyContext, 'logger'>, method: string, of: Fault, requester: Requester): void {
  const { level } = ERRORS[of.error];
  context.logger[level]('a request was refused', {
    method,
    error: of.error,
    reason: of.message,
    clientId: requester.clientId,
  });
}

export function observeLatency(context: ProxyContext, method: string, code: number, startedAtMs: number): void {
  context.traffic.answered(method, code, context.clock.monotonicMs() - startedAtMs);
}

export function unary<Request, Response>(
  context: ProxyContext,
  method: UnaryMethod<Request, Response>,
): UnaryHandler<Request, Response> {
  const { name } = method;
  return (call, request) => {
    const startedAtMs = context.clock.monotonicMs();
    const requester = requesterOf(call);
    const end = (answer: Answer<Response>): Response => {
      observeLatency(context, name, answer.code, startedAtMs);
      return answer.response;
    };
    const fail = (thrown: unknown): Response => {
      const found = thrownFault(context, name, thrown);
      logFault(context, name, found, requester);
      const status = statusOf(found, requester.language);
      return end({ code: status.code, response: method.refuse(status, request) });
    };
    try {
      if (method.needsClientId) refuseWith(checkClientId(requester.clientId));
      context.sessions.heard(requester.clientId);
      return method.handle(requester, request, call).then(end, fail);
    } catch (thrown) {
      return Promise.resolve(fail(thrown));
    }
  };
}
