// `grpc.health.v1.Health`: whether this process and each of its services take requests. Everything serves from the
// start until it is told otherwise.
import { GRPC_STATUS, type ResponseSink, RpcFailure, type ServiceBinding, stream, unary } from './rpc.ts';

export interface Health {
  /** The empty name stands for the whole process. */
  set(service: string, serving: boolean): void;
}

interface Request {
  readonly service: string;
}

interface Response {
  readonly status: number;
}

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
const WATCHERS_MAX = 1_000;

export class HealthService implements Health {
  readonly #statuses = new Map<string, number>();
  readonly #watchers = new Set<{ readonly service: string; readonly sink: ResponseSink<Response> }>();
  readonly binding: ServiceBinding;

  constructor(services: readonly string[]) {
    for (const service of ['', ...services]) this.#statuses.set(service, SERVING);
    this.binding = {
      service: 'grpc.health.v1.Health',
      methods: {
        Check: unary<Request, Response>((_call, request) => {
          const status = this.#statuses.get(request.service);
          if (status === undefined) {
            throw new RpcFailure(GRPC_STATUS.NOT_FOUND, 'There is no service of this name.');
          }
          return { status };
        }),
        Watch: stream<Request, Response>((call, request, sink) => {
          if (this.#watchers.size >= WATCHERS_MAX) {
            throw new RpcFailure(GRPC_STATUS.RESOURCE_EXHAUSTED, 'Too many watchers. Ask with Check.');
          }
          const watcher = { service: request.service, sink };
          this.#watchers.add(watcher);
          call.onCancel(() => this.#watchers.delete(watcher));
          sink.write({ status: this.#statuses.get(request.service) ?? SERVICE_UNKNOWN });
        }),
      },
    };
  }

  set(service: string, serving: boolean): void {
    const status = serving ? SERVING : NOT_SERVING;
    if (this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    for (const watcher of this.#watchers) {
      if (watcher.service === service) watcher.sink.write({ status });
    }
  }

  /** Says goodbye to everybody. */
  stop(): void {
    for (const service of this.#statuses.keys()) this.set(service, false);
    for (const watcher of this.#watchers) watcher.sink.end();
    this.#watchers.clear();
  }
}
