// `fulmar.v1.NameServer` on top of a NameService: decodes, calls, encodes, and turns faults into gRPC statuses.
import { ERRORS, type Fault, FaultError } from '@fulmar/core/errors.ts';
import type { RegisterReply } from '@fulmar/core/name-service.ts';
import {
  type BrokerEntryMessage,
  type BrokerReportMessage,
  entryToMessage,
  eventToMessage,
  reportFromMessage,
  type TopicRouteMessage,
  type WatchEventMessage,
} from '@fulmar/core/name-service-wire.ts';
import type { CallContext, DuplexPort, ResponseSink } from '@fulmar/runtime/rpc.ts';
import type { NameService } from './name-service.ts';

/** Events and replies that may wait for the network before a stream counts as slow. */
const WAITING_MESSAGES = 8;

export interface NameServerHandlers {
  register(call: CallContext, port: DuplexPort<BrokerReportMessage, RegisterReply>): void;
  getRoute(
    call: CallContext,
    request: { readonly topic: string },
  ): { readonly route: TopicRouteMessage; readonly masters: readonly BrokerEntryMessage[] };
  listTopics(
    call: CallContext,
    request: { readonly limit: number; readonly after: string },
  ): { readonly topics: readonly TopicRouteMessage[]; readonly more: boolean };
  listBrokers(): { readonly brokers: readonly BrokerEntryMessage[] };
  watch(call: CallContext, request: unknown, sink: ResponseSink<WatchEventMessage>): void;
}

export function nameServerHandlers(service: NameService): NameServerHandlers {
  return {
    register(_call, port) {
      const registration = service.openRegistration({
        reply: (reply) => port.write(reply),
        end: (reason) => port.fail(...statusOf(reason)),
      });
      port.onMessage((message) => registration.onReport(reportFromMessage(message)));
      port.onEnd(() => port.end());
      port.onClose(() => registration.onEnd());
    },
    getRoute(_call, { topic }) {
      const answer = service.route(topic);
      if (answer.fault !== undefined) throw new FaultError(answer.fault);
      return { route: answer.value.route, masters: answer.value.masters.map(entryToMessage) };
    },
    listTopics(_call, { limit, after }) {
      return service.topics(after, limit);
    },
    listBrokers() {
      return { brokers: service.brokers().map(entryToMessage) };
    },
    watch(call, _request, sink) {
      const watcher = service.openWatch({
        send: (event) => {
          sink.write(eventToMessage(event));
          return sink.waitingMessages() < WAITING_MESSAGES;
        },
        end: (reason) => sink.fail(...statusOf(reason)),
      });
      sink.onDrain(() => watcher.onDrain());
      call.onCancel(() => watcher.onEnd());
    },
  };
}

function statusOf(reason: Fault): [number, string] {
  return [ERRORS[reason.error].grpc, reason.message];
}
