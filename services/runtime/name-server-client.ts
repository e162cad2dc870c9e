// A connection to one NameServer over gRPC, as brokers and proxies use it.
import type { NameServerConnection } from '@fulmar/core/name-service.ts';
import {
  type BrokerReportMessage,
  eventFromMessage,
  reportToMessage,
  type WatchEventMessage,
} from '@fulmar/core/name-service-wire.ts';
import { connectGrpc, type GrpcClientOptions, type Method } from './grpc-client.ts';
import type { RpcFailure } from './rpc.ts';

const SERVICE = 'fulmar.v1.NameServer';
const REGISTER: Method<BrokerReportMessage, { readonly expiryMs: number }> = { service: SERVICE, name: 'Register' };
const WATCH: Method<Record<string, never>, WatchEventMessage> = { service: SERVICE, name: 'Watch' };

/** Reports that may wait for the network before the stream counts as slow. */
const WAITING_REPORTS = 8;

export function connectNameServer(address: string, options: GrpcClientOptions = {}): NameServerConnection {
  const client = connectGrpc(address, options);
  return {
    register(listener) {
      let over = false;
      let slow = false;
      const call = client.duplex(REGISTER, {
        onMessage: (reply) => {
          if (!over) listener.onReply(reply);
        },
        onEnd: (failure) => {
          if (!over) listener.onEnd(reasonOf(failure));
          over = true;
        },
      });
      const onFlushed = (): void => {
        if (!slow || over || call.waitingMessages() >= WAITING_REPORTS) return;
        slow = false;
        listener.onDrain();
      };
      return {
        send(report) {
          if (over) return true;
          call.write(reportToMessage(report), onFlushed);
          slow = call.waitingMessages() >= WAITING_REPORTS;
          return !slow;
        },
        finish() {
          over = true;
          call.write({ putTopics: [], deletedTopics: [], more: false, goodbye: true });
          call.finish();
        },
        cancel() {
          over = true;
          call.cancel();
        },
      };
    },
    watch(listener) {
      let over = false;
      const call = client.stream(
        WATCH,
        {},
        {
          onMessage: (event) => {
            if (!over) listener.onEvent(eventFromMessage(event));
          },
          onEnd: (failure) => {
            if (!over) listener.onEnd(reasonOf(failure));
            over = true;
          },
        },
      );
      return {
        cancel() {
          over = true;
          call.cancel();
        },
      };
    },
    close: () => client.close(),
  };
}

function reasonOf(failure: RpcFailure | undefined): string {
  return failure === undefined ? 'it ended the stream' : failure.message;
}
