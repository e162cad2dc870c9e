// AdminSendMessage: one message of a person, sent just as a producer would send it, by the same handler and the same
// rules. What the request leaves out of the system properties is filled in here, the message id first of all.
import { FaultError, fault } from '@fulmar/core/errors.ts';
import { methodDefinition } from '@fulmar/runtime/protos.ts';
import type { CallContext, UnaryHandler } from '../call.ts';
import { type Resource, type Status, wireTime } from '../messages.ts';
import { sendMessage } from '../send.ts';
import { STATUS_OK } from '../status.ts';
import { type Answered, answering, type MaybeResource, type OfficialParts } from './context.ts';

interface AdminSendMessageRequest {
  readonly topic?: MaybeResource;
  readonly tag?: string;
  readonly key?: string;
  readonly body?: Buffer;
  readonly userProperties?: Readonly<Record<string, string>>;
  readonly systemProperties?: Readonly<Record<string, unknown>> | null;
}

interface SendAnswer {
  readonly status: Status;
  readonly entries: readonly { readonly status: Status | null; readonly messageId: string }[];
}

export interface OfficialSendHandlers {
  readonly AdminSendMessage: UnaryHandler<AdminSendMessageRequest, Answered<{ readonly messageId: string }>>;
}

const CLIENT_ID = 'x-mq-client-id';
const CLIENT_OF_PEOPLE = 'official-admin';

export function officialSendHandlers({ context }: OfficialParts): OfficialSendHandlers {
  const send = sendMessage(context);
  const definition = methodDefinition<object, SendAnswer>('apache.rocketmq.v2.MessagingService', 'SendMessage');

  return {
    AdminSendMessage: answering(
      context,
      'AdminSendMessage',
      async (_requester, request: AdminSendMessageRequest, call): Promise<Answered<{ readonly messageId: string }>> => {
        const messages = [messageOf(request)];
        const answer = definition.responseDeserialize(
          await send(ofPerson(call), definition.requestSerialize({ messages })),
        );
        const [entry] = answer.entries;
        const status = entry?.status ?? answer.status;
        return status.code === STATUS_OK.code ? { status, messageId: entry!.messageId } : { status };
      },
    ),
  };

  function messageOf({ topic, tag, key, body, userProperties, systemProperties }: AdminSendMessageRequest) {
    if (systemProperties?.messageType === TRANSACTION) {
      // Nobody would ever end it.
      const text = 'A half message needs a producer that ends it. Send it with a client.';
      throw new FaultError(fault('MESSAGE_PROPERTY_CONFLICT_WITH_TYPE', text));
    }
    const nowMs = context.clock.wallMs();
    const given = present(systemProperties ?? {});
    const system = {
      messageId: newMessageId(context.random, nowMs),
      bornTimestamp: wireTime(nowMs),
      bornHost: CLIENT_OF_PEOPLE,
      ...given,
      ...(tag ? { tag } : {}),
      ...(key ? { keys: [...((given.keys as readonly string[] | undefined) ?? []), key] } : {}),
    };
    return { topic: topic satisfies Resource | null | undefined, userProperties, systemProperties: system, body };
  }
}

const TRANSACTION = 4;

/** Without what is absent, for the codec says that of many a field which nobody has set. */
function present(properties: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value != null && value !== ''));
}

function ofPerson(call: CallContext): CallContext {
  return {
    authority: call.authority,
    peer: call.peer,
    remainingMs: call.remainingMs,
    onCancel: (listener) => call.onCancel(listener),
    header: (name) => call.header(name) ?? (name === CLIENT_ID ? CLIENT_OF_PEOPLE : undefined),
  };
}

/** 2021-01-01, from which ids of this form count their seconds. */
const ID_EPOCH_MS = 1_609_459_200_000;

/** In the form of official clients: a version, six bytes and two for the maker, seconds, a number; here by chance. */
export function newMessageId(random: { uint32(): number }, nowMs: number): string {
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const seconds = Math.max(0, Math.floor((nowMs - ID_EPOCH_MS) / 1_000)) >>> 0;
  return `01${hex(random.uint32())}${hex(random.uint32())}${hex(seconds)}${hex(random.uint32())}`.toUpperCase();
}
