// The calls that the command makes to a proxy: administration through `fulmar.v1.Admin`, messages through the public
// API. Statuses that are not OK become a Refusal, whether they come in the answer or as the end of the call.
import { connectGrpc, type GrpcClient, type GrpcClientOptions } from '@fulmar/runtime/grpc-client.ts';
import { Refusal } from './command.ts';

const ADMIN = 'fulmar.v1.Admin';
const MESSAGING = 'apache.rocketmq.v2.MessagingService';
const TIMEOUT_MS = 10_000;
const OK = 20_000;
/** How a receive says that there is nothing. */
export const MESSAGE_NOT_FOUND = 40_401;

export interface Status {
  readonly code: number;
  readonly message: string;
}

export interface ProxyClient {
  readonly endpoint: string;
  admin<Response>(method: string, request: object): Promise<Response>;
  /** Rejects when the status in the answer is not OK. */
  messaging<Response>(method: string, request: object): Promise<Response>;
  /** All frames of the answer, at most `timeoutMs` after the call. */
  messagingStream<Frame>(method: string, request: object, timeoutMs: number): Promise<Frame[]>;
  close(): void;
}

/** `trusted`: TLS with a certificate that the machine trusts. */
export type Tls = 'off' | 'any' | 'trusted';

export function openProxy(endpoint: string, options: GrpcClientOptions, clientId: string): ProxyClient {
  const client: GrpcClient = connectGrpc(endpoint, options);
  const headers = { 'x-mq-client-id': clientId, 'x-mq-language': 'CLI', 'x-mq-protocol': 'v2' };
  return {
    endpoint,
    admin: (method, request) =>
      client.unary({ service: ADMIN, name: method }, request, { timeoutMs: TIMEOUT_MS, headers }),
    async messaging<Response>(method: string, request: object) {
      const options = { timeoutMs: TIMEOUT_MS, headers };
      const response = await client.unary<object, object>({ service: MESSAGING, name: method }, request, options);
      check((response as { readonly status: Status | null }).status);
      return response as Response;
    },
    messagingStream<Frame>(method: string, request: object, timeoutMs: number) {
      return new Promise<Frame[]>((resolve, reject) => {
        const frames: Frame[] = [];
        const onEnd = (failure: Error | undefined): void => {
          if (failure === undefined) resolve(frames);
          else reject(failure);
        };
        const listener = { onMessage: (frame: Frame) => frames.push(frame), onEnd };
        client.stream({ service: MESSAGING, name: method }, request, listener, { timeoutMs, headers });
      });
    },
    close: () => client.close(),
  };
}

export function check(status: Status | null): void {
  if (status?.code !== OK) throw new Refusal(status?.message || `The server answered with code ${status?.code ?? 0}.`);
}
