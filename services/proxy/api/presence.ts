// Heartbeat and NotifyClientTermination: signs of life, and the goodbye after which a client's messages go to others at
// once. Neither fails because of something that is not known here: a heartbeat may come from a client of another proxy.
import { OK } from '@fulmar/core/errors.ts';
import { COLLEAGUE_MS } from '../clients/colleagues.ts';
import { type Answer, unary, unwrap } from './answering.ts';
import type { UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import {
  CLIENT_TYPE,
  type HeartbeatRequest,
  isConsumerType,
  type NotifyClientTerminationRequest,
  type StatusResponse,
} from './messages.ts';
import { groupKeyOf } from './resources.ts';
import { STATUS_OK } from './status.ts';

const FINE: Answer<StatusResponse> = { code: OK, response: { status: STATUS_OK } };

export function heartbeat(context: ProxyContext): UnaryHandler<HeartbeatRequest, StatusResponse> {
  return unary<HeartbeatRequest, StatusResponse>(context, {
    name: 'Heartbeat',
    needsClientId: false,
    async handle(requester, { group, clientType = CLIENT_TYPE.unspecified }) {
      const hasGroup = group != null && group.name !== '';
      const groupKey = hasGroup ? unwrap(groupKeyOf(requester, group)) : '';
      const session = context.sessions.open(requester);
      if (session !== undefined) {
        if (clientType !== CLIENT_TYPE.unspecified) session.clientType = clientType;
        if (hasGroup) session.group = groupKey;
      }
      // Keeps what is known of the group fresh, so that changed settings reach its clients; the answer does not wait.
      if (hasGroup && isConsumerType(clientType)) void context.groups.ensure(groupKey);
      return FINE;
    },
    refuse: (status) => ({ status }),
  });
}

export function notifyClientTermination(
  context: ProxyContext,
): UnaryHandler<NotifyClientTerminationRequest, StatusResponse> {
  return unary<NotifyClientTerminationRequest, StatusResponse>(context, {
    name: 'NotifyClientTermination',
    needsClientId: false,
    async handle({ clientId }) {
      context.sessions.close(clientId);
      // A client with connections to two workers says it to one.
      void context.colleagues.ask('goodbye', clientId, COLLEAGUE_MS);
      return FINE;
    },
    refuse: (status) => ({ status }),
  });
}
