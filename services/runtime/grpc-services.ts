// Registers services with the gRPC library: finds the definition of each method in the protos, checks that the handler
// is of its kind, and surrounds it with the context, the translation of errors, and what is counted about every call.

import type { Logger, Observer } from '@fulmar/core/ports.ts';
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { checkBinding } from './proto-services.ts';
import { methodDefinition } from './protos.ts';
import { expectedFailure, GRPC_STATUS, type MethodBinding, type ServiceBinding, UNEXPECTED } from './rpc.ts';
import { type LibraryCall, LibraryContext, LibraryPort, LibrarySink, statusOf } from './server-calls.ts';

export interface RegisterOptions {
  readonly logger: Logger;
  readonly observer: Observer;
}

/** A unary call is the library's call plus the request. */
type UnaryCall = LibraryCall & { readonly request: unknown };
type UnaryAnswer = (error: unknown, response?: unknown) => void;

const STATUS_NAMES = new Map<number, string>(Object.entries(GRPC_STATUS).map(([name, code]) => [code, name]));

/** Ends the measurement of one call. */
type Finish = (grpcStatus: number) => void;

function measuring(observer: Observer, service: string, method: string): () => Finish {
  const countByStatus = new Map<number, (calls: number) => void>();
  const observeSeconds = observer.bind('fulmar_grpc_call_seconds', { service, method });
  return () => {
    const startedMs = performance.now();
    let done = false;
    return (grpcStatus) => {
      if (done) return;
      done = true;
      let count = countByStatus.get(grpcStatus);
      if (count === undefined) {
        const status = STATUS_NAMES.get(grpcStatus) ?? 'OTHER';
        count = observer.bind('fulmar_grpc_calls_total', { service, method, status });
        countByStatus.set(grpcStatus, count);
      }
      count(1);
      observeSeconds((performance.now() - startedMs) / 1000);
    };
  };
}

function implementationOf(path: string, binding: MethodBinding, begin: () => Finish, logger: Logger) {
  const failureFor = (thrown: unknown) => {
    const expected = expectedFailure(thrown);
    if (expected !== undefined) return expected;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    logger.error('a handler failed unexpectedly', { method: path, error: error.message, stack: error.stack });
    return UNEXPECTED;
  };
  const contextOf = (call: LibraryCall, finish: Finish) => {
    const context = new LibraryContext(call);
    context.onCancel(() => finish(GRPC_STATUS.CANCELLED));
    return context;
  };

  if (binding.kind === 'unary') {
    return async (call: UnaryCall, answer: UnaryAnswer) => {
      const finish = begin();
      const context = contextOf(call, finish);
      try {
        const response = await binding.handler(context, call.request);
        if (context.cancelled) return;
        context.finished = true;
        finish(GRPC_STATUS.OK);
        answer(null, response);
      } catch (thrown) {
        const failure = failureFor(thrown);
        context.finished = true;
        finish(failure.grpcStatus);
        answer(statusOf(failure));
      }
    };
  }
  if (binding.kind === 'stream') {
    return async (call: UnaryCall) => {
      const finish = begin();
      const context = contextOf(call, finish);
      const sink = new LibrarySink(call, context, finish);
      try {
        await binding.handler(context, call.request, sink);
      } catch (thrown) {
        sink.failWith(failureFor(thrown));
      }
    };
  }
  return (call: LibraryCall) => {
    const finish = begin();
    const context = contextOf(call, finish);
    const port = new LibraryPort(call, context, finish);
    try {
      binding.handler(context, port);
    } catch (thrown) {
      port.failWith(failureFor(thrown));
    }
  };
}

/**
 * Adds the service; throws if a method does not exist or is of another kind. Returns paths of methods with long
 * streams.
 */
export function registerService(server: Server, binding: ServiceBinding, options: RegisterOptions): string[] {
  checkBinding(binding.service, binding.methods);
  const definition: Record<string, unknown> = {};
  const implementation: UntypedServiceImplementation = {};
  const longPaths: string[] = [];
  for (const [name, method] of Object.entries(binding.methods)) {
    const found = methodDefinition(binding.service, name, method.codec);
    if (method.kind === 'duplex') longPaths.push(found.path);
    definition[name] = found;
    const begin = measuring(options.observer, binding.service, name);
    implementation[name] = implementationOf(found.path, method, begin, options.logger) as never;
  }
  server.addService(definition as ServiceDefinition, implementation);
  return longPaths;
}
