// apache.rocketmq.v2.Admin: every RPC of the official admin service by its name, on plain objects, so that tools which
// speak it work. It can look, reset and send; what it cannot do, such as create a topic, fulmar.v1.Admin can.
import type { OfficialParts } from './context.ts';
import { type OfficialProgressHandlers, officialProgressHandlers } from './progress.ts';
import { type OfficialRelayHandlers, officialRelayHandlers } from './relays.ts';
import { type OfficialSearchHandlers, officialSearchHandlers } from './search.ts';
import { type OfficialSendHandlers, officialSendHandlers } from './send.ts';
import { type OfficialSubscriptionHandlers, officialSubscriptionHandlers } from './subscriptions.ts';
import { type OfficialProxyHandlers, officialProxyHandlers } from './this-proxy.ts';
import { type OfficialTopicHandlers, officialTopicHandlers } from './topics.ts';

export type OfficialAdminHandlers = OfficialTopicHandlers &
  OfficialSubscriptionHandlers &
  OfficialProgressHandlers &
  OfficialSearchHandlers &
  OfficialSendHandlers &
  OfficialRelayHandlers &
  OfficialProxyHandlers;

export function officialAdminService(parts: OfficialParts): OfficialAdminHandlers {
  return {
    ...officialTopicHandlers(parts),
    ...officialSubscriptionHandlers(parts),
    ...officialProgressHandlers(parts),
    ...officialSearchHandlers(parts),
    ...officialSendHandlers(parts),
    ...officialRelayHandlers(parts),
    ...officialProxyHandlers(parts),
  };
}
