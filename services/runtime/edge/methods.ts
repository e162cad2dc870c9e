// The methods of a server by their paths: what turns bytes into a handler's values and back, and what is measured
// about each call. A service whose binding does not fit its proto keeps the server from starting.
import type { Observer } from '@fulmar/core/ports.ts';
import { checkBinding } from '../proto-services.ts';
import { methodDefinition } from '../protos.ts';
import { GRPC_STATUS, type MethodBinding, type ServiceBinding } from '../rpc.ts';

const STATUS_NAMES = new Map<number, string>(Object.entries(GRPC_STATUS).map(([name, code]) => [code, name]));

type Observe = (value: number) => void;

export class Method {
  readonly path: string;
  readonly binding: MethodBinding;
  readonly decode: (bytes: Buffer) => unknown;
  readonly encode: (value: unknown) => Buffer;
  readonly #observer: Observer;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #observeSeconds: Observe;
  readonly #countByStatus = new Map<number, Observe>();

  constructor(service: string, name: string, binding: MethodBinding, observer: Observer) {
    const found = methodDefinition<unknown, unknown>(service, name, binding.codec);
    this.path = found.path;
    this.binding = binding;
    this.decode = found.requestDeserialize;
    this.encode = found.responseSerialize;
    this.#observer = observer;
    this.#labels = { service, method: name };
    this.#observeSeconds = observer.bind('fulmar_grpc_call_seconds', this.#labels);
  }

  /** To be called once for each call. */
  ended(grpcStatus: number, tookMs: number): void {
    let count = this.#countByStatus.get(grpcStatus);
    if (count === undefined) {
      const status = STATUS_NAMES.get(grpcStatus) ?? 'OTHER';
      count = this.#observer.bind('fulmar_grpc_calls_total', { ...this.#labels, status });
      this.#countByStatus.set(grpcStatus, count);
    }
    count(1);
    this.#observeSeconds(tookMs / 1000);
  }
}

export function methodsOf(bindings: readonly ServiceBinding[], observer: Observer): Map<string, Method> {
  const methods = new Map<string, Method>();
  for (const { service, methods: bound } of bindings) {
    checkBinding(service, bound);
    for (const [name, binding] of Object.entries(bound)) {
      const method = new Method(service, name, binding, observer);
      methods.set(method.path, method);
    }
  }
  return methods;
}
