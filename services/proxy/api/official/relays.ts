// What people ask of one client. Stacks and the trial of a message go to the client over its Telemetry stream and come
// back over it. What a consumer is doing no command of the protocol asks for, so that is answered from what this proxy
// knows of the client; what only the client knows stays empty.
import { FaultError, fault } from '@fulmar/core/errors.ts';
import type { ClientView } from '../../clients/roster.ts';
import { refuse } from '../admin-context.ts';
import { unwrap } from '../answering.ts';
import type { UnaryHandler } from '../call.ts';
import type { Status, TelemetryCommand } from '../messages.ts';
import { groupKeyOf } from '../resources.ts';
import { STATUS_OK } from '../status.ts';
import {
  type Answered,
  answering,
  existingTopic,
  type MaybeResource,
  type OfficialParts,
  resourceOf,
} from './context.ts';
import { findById, wireMessageOf } from './found-messages.ts';
import { subscribed } from './subscriptions.ts';

interface ClientRequest {
  readonly clientId?: string;
  readonly group?: MaybeResource;
}

interface VerifyRequest extends ClientRequest {
  readonly topic?: MaybeResource;
  readonly messageId?: string;
}

interface RunningInfo {
  readonly properties: Readonly<Record<string, string>>;
  readonly subscriptions: Readonly<Record<string, { readonly type: number; readonly expression: string }>>;
}

export interface OfficialRelayHandlers {
  readonly PrintThreadStackTrace: UnaryHandler<ClientRequest, Answered<{ readonly threadStackTrace: string }>>;
  readonly VerifyMessage: UnaryHandler<VerifyRequest, Answered<object>>;
  readonly GetConsumerRunningInfo: UnaryHandler<ClientRequest, Answered<{ readonly consumerRunningInfo: RunningInfo }>>;
}

const CLIENT_TYPE_NAMES = ['UNSPECIFIED', 'PRODUCER', 'PUSH_CONSUMER', 'SIMPLE_CONSUMER', 'PULL_CONSUMER'];

export function officialRelayHandlers({ context, roster, questions }: OfficialParts): OfficialRelayHandlers {
  return {
    PrintThreadStackTrace: answering(
      context,
      'PrintThreadStackTrace',
      async (
        _requester,
        { clientId = '' }: ClientRequest,
      ): Promise<Answered<{ readonly threadStackTrace: string }>> => {
        const asked = await questions.ask(clientId, (nonce) => ({ printThreadStackTraceCommand: { nonce } }));
        const answer = unwrap(asked);
        return { status: statusIn(answer), threadStackTrace: answer.threadStackTrace?.threadStackTrace ?? '' };
      },
    ),

    VerifyMessage: answering(
      context,
      'VerifyMessage',
      async (requester, { clientId = '', topic, messageId = '' }: VerifyRequest): Promise<Answered<object>> => {
        const route = existingTopic(context, requester, topic);
        if (messageId === '') refuse('ILLEGAL_MESSAGE_ID', 'The request names no message. Set message_id.');
        const found = await findById(context, route, messageId);
        if (found === undefined) {
          refuse(
            'MESSAGE_NOT_FOUND',
            'The topic has no message of this id, or keeps it no more. Look whether both are right.',
          );
        }
        const message = wireMessageOf(resourceOf(route.topic), found);
        return {
          status: statusIn(
            unwrap(await questions.ask(clientId, (nonce) => ({ verifyMessageCommand: { nonce, message } }))),
          ),
        };
      },
    ),

    GetConsumerRunningInfo: answering(
      context,
      'GetConsumerRunningInfo',
      async (requester, { clientId = '', group }: ClientRequest) => {
        const key = unwrap(groupKeyOf(requester, group));
        const [client] = await roster.all({ clientId, group: key });
        if (client === undefined) {
          const text = 'No consumer of the group with this id is connected to this proxy. Ask the one that it uses.';
          throw new FaultError(fault('NOT_FOUND', text));
        }
        const subscriptions = Object.fromEntries(
          subscribed(client).map(({ topic, expression }) => [topic, expression]),
        );
        return { consumerRunningInfo: { properties: propertiesOf(client), subscriptions } };
      },
    ),
  };
}

function propertiesOf(client: ClientView): Readonly<Record<string, string>> {
  const { clientId, language, version, peer, clientType, openReceives, telemetryStreams, silentForMs } = client;
  return {
    clientId,
    language,
    version,
    peer,
    clientType: CLIENT_TYPE_NAMES[clientType] ?? 'LITE_CONSUMER',
    openReceives: String(openReceives),
    openTelemetryStreams: String(telemetryStreams),
    silentForMs: String(silentForMs),
  };
}

/** What the client says of its own work; one that says nothing has done it. */
function statusIn({ status }: TelemetryCommand): Status {
  return status == null || status.code === 0 ? STATUS_OK : status;
}
