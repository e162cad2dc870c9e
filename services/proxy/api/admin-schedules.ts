// Recurring messages as administrators see them. A schedule lives on one broker set of its topic, chosen by its name,
// and is looked for on all of them, so that a name means one schedule in the whole cluster.
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type { ScheduleDescription, ScheduledMessage } from '@fulmar/core/schedule-api.ts';
import { checkAccepted } from '@fulmar/core/topic-types.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import {
  type AdminDependencies,
  answerInTime,
  askEverySet,
  byName,
  type PageRequest,
  pageOf,
  refuse,
} from './admin-context.ts';
import { refuseWith, unwrap } from './answering.ts';
import type { UnaryHandler } from './call.ts';
import { decodeSendRequest, type SentMessage } from './codec/send-request.ts';
import { bodyDigest } from './codec/stored-message.ts';
import { checkMessage, typeOf } from './message-rules.ts';
import { DIGEST_MD5, ENCODING } from './messages.ts';
import { setsInOrder } from './shipments.ts';

interface MessageOfSchedule {
  readonly tag?: string;
  readonly keys?: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly messageGroup?: string;
  readonly body?: Buffer;
}

interface Definition {
  readonly name?: string;
  readonly topic?: string;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly message?: MessageOfSchedule | null;
}

interface ScheduleInfo {
  readonly name: string;
  readonly topic: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly message: MessageOfSchedule;
  readonly set: string;
  readonly paused: boolean;
  readonly createdAtMs: number;
  readonly nextAtMs: number;
  readonly lastAtMs: number;
  readonly sent: number;
}

interface Named {
  readonly name?: string;
}

type OneSchedule = UnaryHandler<Named, { readonly schedule: ScheduleInfo }>;

export interface ScheduleHandlers {
  readonly CreateSchedule: UnaryHandler<{ readonly schedule?: Definition | null }, { readonly schedule: ScheduleInfo }>;
  readonly ListSchedules: UnaryHandler<
    PageRequest,
    { readonly schedules: readonly ScheduleInfo[]; readonly nextPage: string }
  >;
  readonly DescribeSchedule: OneSchedule;
  readonly PauseSchedule: OneSchedule;
  readonly ResumeSchedule: OneSchedule;
  readonly DeleteSchedule: UnaryHandler<Named, Record<string, never>>;
}

interface Placed {
  readonly set: string;
  readonly schedule: ScheduleDescription;
}

export function scheduleHandlers(dependencies: AdminDependencies): ScheduleHandlers {
  const { cluster } = dependencies;

  async function all(): Promise<readonly Placed[]> {
    const answers = await askEverySet(dependencies, (broker) => broker.schedules.list());
    return answers.flatMap(({ set, answer }) => unwrap(answer).map((schedule) => ({ set, schedule })));
  }

  async function find(name: string): Promise<Placed> {
    const found = (await all()).find(({ schedule }) => schedule.name === name);
    if (found === undefined) refuse('NOT_FOUND', `There is no schedule ${name}. See fulmar schedule list.`);
    return found;
  }

  function brokerOf(set: string) {
    const broker = cluster.broker(set);
    if (broker === undefined) refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat it.`);
    return broker;
  }

  async function setPaused(name: string, paused: boolean): Promise<{ readonly schedule: ScheduleInfo }> {
    const { set } = await find(name);
    const answer = await answerInTime(dependencies, set, () => brokerOf(set).schedules.setPaused(name, paused));
    return { schedule: infoOf({ set, schedule: unwrap(answer) }) };
  }

  return {
    async CreateSchedule(_call, { schedule }) {
      const { name = '', topic = '', cron = '', timeZone = '' } = schedule ?? {};
      const route = cluster.route(topic);
      if (route === undefined) refuse('TOPIC_NOT_FOUND', `There is no topic ${topic}. Create it first.`);
      const sent = sentMessageOf(schedule?.message ?? {});
      const type = typeOf(sent);
      refuseWith(checkMessage(sent) ?? checkAccepted(type, route.type));
      const sets = route.shares.map((share) => share.set);
      const known = (await all()).find((each) => each.schedule.name === name);
      const set = known?.set ?? setsInOrder(sets, name)[0]!;
      const request = {
        name,
        topic,
        cron,
        timeZone: timeZone === '' ? 'UTC' : timeZone,
        message: templateOf(sent, type),
      };
      const answer = await answerInTime(dependencies, set, () => brokerOf(set).schedules.create(request));
      return { schedule: infoOf({ set, schedule: unwrap(answer) }) };
    },

    async ListSchedules(_call, request) {
      const sorted = (await all()).map(infoOf).sort(byName);
      const { items, nextPage } = pageOf(sorted, (schedule) => schedule.name, request);
      return { schedules: items, nextPage };
    },

    async DescribeSchedule(_call, { name = '' }) {
      return { schedule: infoOf(await find(name)) };
    },

    PauseSchedule: (_call, { name = '' }) => setPaused(name, true),
    ResumeSchedule: (_call, { name = '' }) => setPaused(name, false),

    async DeleteSchedule(_call, { name = '' }) {
      const { set } = await find(name);
      refuseWith(await answerInTime(dependencies, set, () => brokerOf(set).schedules.delete(name)));
      return {};
    },
  };
}

/** Stands in for what each sending gets anew, while the message is judged by the rules of every message. */
const ID_FOR_RULES = 'schedule';

/** The message as a producer would send it, so that the same rules and the same bytes apply. */
function sentMessageOf({ tag, keys, properties, messageGroup, body }: MessageOfSchedule): SentMessage {
  const message = {
    userProperties: properties ?? {},
    systemProperties: {
      messageId: ID_FOR_RULES,
      bodyEncoding: ENCODING.identity,
      keys: keys ?? [],
      ...(tag ? { tag } : {}),
      ...(messageGroup ? { messageGroup, messageType: MESSAGE_TYPE.fifo } : { messageType: MESSAGE_TYPE.normal }),
    },
    body: body ?? Buffer.alloc(0),
  };
  const definition = serviceDefinition('apache.rocketmq.v2.MessagingService').SendMessage!;
  return decodeSendRequest(definition.requestSerialize({ messages: [message] }))[0]!;
}

const BORN_HOST = 'schedule';

function templateOf(sent: SentMessage, type: number): ScheduledMessage {
  const system = new ProtobufWriter(128);
  if (sent.tag !== undefined) system.string(1, sent.tag);
  for (const key of sent.keys) system.string(2, key);
  const digest = system.begin(4);
  system.varint(1, DIGEST_MD5).string(2, bodyDigest(sent.body)).end(digest);
  system.varint(5, ENCODING.identity).varint(6, type).string(8, BORN_HOST);
  if (sent.messageGroup) system.string(17, sent.messageGroup);
  return {
    type,
    tag: sent.tag ?? '',
    keys: sent.keys,
    messageGroup: sent.messageGroup ?? '',
    userPart: sent.userPart,
    systemPart: system.finish(),
    body: sent.body,
  };
}

function infoOf({ set, schedule }: Placed): ScheduleInfo {
  const { message, ...rest } = schedule;
  const { tag, keys, messageGroup, userPart, body } = message;
  return {
    ...rest,
    set,
    message: { tag, keys, messageGroup, properties: propertiesIn(userPart), body: Buffer.from(body) },
  };
}

function propertiesIn(userPart: Uint8Array): Readonly<Record<string, string>> {
  const message = new ProtobufWriter(16 + userPart.length).content(1, userPart).finish();
  const { properties } = decodeSendRequest(message)[0]!;
  return Object.fromEntries(
    Array.from({ length: properties.length / 2 }, (_, i) => [properties[2 * i]!, properties[2 * i + 1]!]),
  );
}
