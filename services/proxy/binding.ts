// Which RPC of the public services is carried out by which handler, and which of them read and write their own bytes.
import { duplex, RAW, type ServiceBinding, stream, unary } from '@fulmar/runtime/rpc.ts';
import type { AdminHandlers } from './api/admin.ts';
import { QUERY_ROUTE } from './api/codec/query-route.ts';
import type { OfficialAdminHandlers } from './api/official/admin.ts';
import type { MessagingHandlers } from './api/service.ts';

export function messagingBinding({ raw, rawStream, plain, duplex: duplexes }: MessagingHandlers): ServiceBinding {
  return {
    service: 'apache.rocketmq.v2.MessagingService',
    methods: {
      SendMessage: unary(raw.SendMessage, RAW),
      AckMessage: unary(raw.AckMessage, RAW),
      ChangeInvisibleDuration: unary(raw.ChangeInvisibleDuration, RAW),
      ReceiveMessage: stream(rawStream.ReceiveMessage, RAW),
      PullMessage: stream(rawStream.PullMessage, RAW),
      QueryRoute: unary(plain.QueryRoute, QUERY_ROUTE),
      QueryAssignment: unary(plain.QueryAssignment),
      Heartbeat: unary(plain.Heartbeat),
      NotifyClientTermination: unary(plain.NotifyClientTermination),
      ForwardMessageToDeadLetterQueue: unary(plain.ForwardMessageToDeadLetterQueue),
      UpdateOffset: unary(plain.UpdateOffset),
      GetOffset: unary(plain.GetOffset),
      QueryOffset: unary(plain.QueryOffset),
      EndTransaction: unary(plain.EndTransaction),
      RecallMessage: unary(plain.RecallMessage),
      SyncLiteSubscription: unary(plain.SyncLiteSubscription),
      Telemetry: duplex(duplexes.Telemetry),
    },
  };
}

export function adminBinding(handlers: AdminHandlers): ServiceBinding {
  return {
    service: 'fulmar.v1.Admin',
    methods: Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, unary(handler)])),
  };
}

export function officialAdminBinding(handlers: OfficialAdminHandlers): ServiceBinding {
  return {
    service: 'apache.rocketmq.v2.Admin',
    methods: Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, unary(handler)])),
  };
}
