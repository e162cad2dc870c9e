// `fulmar topic ...`: topics through the admin API.
import { parseDuration } from '@fulmar/core/quantities.ts';
import { type Answer, type Command, UsageError } from './command.ts';
import { listAll, type SubscriptionInfo, subscriptionTable } from './lag.ts';
import { age, count, table, time } from './table.ts';

/** Numbers of `fulmar.v1.TopicType`, in their order. */
export const TYPES: readonly string[] = ['mixed', 'normal', 'fifo', 'delay', 'transaction', 'lite', 'priority'];
export const SETTABLE = ['normal', 'fifo', 'delay', 'transaction', 'priority', 'lite'];
const CHANGEABLE = ['normal', 'fifo', 'delay', 'transaction', 'priority', 'mixed'];

interface TopicInfo {
  readonly name: string;
  readonly type: number;
  readonly parts: readonly { readonly set: string; readonly queues: number }[];
  /** The sets that its message groups are spread over. */
  readonly messageGroupSets: readonly string[];
}

interface TopicDetails {
  readonly topic: TopicInfo;
  readonly createdAtMs: number;
  readonly queues: readonly {
    readonly set: string;
    readonly queueId: number;
    readonly minOffset: number;
    readonly maxOffset: number;
  }[];
  readonly subscriptions: readonly SubscriptionInfo[];
  readonly delayedMessages: number;
  /** 0 for never, and for a topic that is not of type LITE. */
  readonly liteExpirationMs: number;
}

interface LiteTopicInfo {
  readonly name: string;
  readonly messages: number;
  readonly newestStoredAtMs: number;
  readonly consumers: number;
}

function typeName(type: number): string {
  return TYPES[type] ?? `type ${type}`;
}

function plain(topic: TopicInfo) {
  return { ...topic, type: typeName(topic.type) };
}

function partsOf(topic: TopicInfo): string {
  return topic.parts.map(({ set, queues }) => `${set}:${queues}`).join(' ');
}

function queuesOf(topic: TopicInfo): number {
  return topic.parts.reduce((sum, part) => sum + part.queues, 0);
}

function describe(details: TopicDetails): Answer {
  const { topic, createdAtMs, queues, subscriptions, delayedMessages, liteExpirationMs } = details;
  const isLite = typeName(topic.type) === 'lite';
  // A priority topic has a queue for each priority, of which most hold nothing.
  const shown = typeName(topic.type) === 'priority' ? queues.filter(({ maxOffset }) => maxOffset > 0) : queues;
  const rows = shown.map((queue) => [
    queue.set,
    queue.queueId,
    queue.minOffset,
    queue.maxOffset,
    queue.maxOffset - queue.minOffset,
  ]);
  const parts = [
    [
      `Topic    ${topic.name}`,
      `Type     ${typeName(topic.type)}`,
      `Created  ${time(createdAtMs)}`,
      `Message groups on  ${topic.messageGroupSets.join(' ') || 'the sets below'}`,
      ...(isLite
        ? [`Lite topics end  ${liteExpirationMs === 0 ? 'never' : `${age(liteExpirationMs)} after their last message`}`]
        : []),
    ].join('\n'),
    table(['set', 'queue', 'oldest', 'next', 'messages'], rows),
    ...(delayedMessages === 0 ? [] : [`${count(delayedMessages, 'delayed message')} wait for their time.`]),
    subscriptions.length === 0 ? 'No consumer group reads it.' : subscriptionTable(subscriptions),
  ];
  return {
    json: { ...details, topic: plain(topic) },
    text: parts.join('\n\n'),
  };
}

function expirationOf(text: string | undefined): { readonly liteExpirationMs?: number } {
  if (text === undefined) return {};
  const liteExpirationMs = text === '0' ? 0 : parseDuration(text);
  if (liteExpirationMs !== undefined) return { liteExpirationMs };
  throw new UsageError(
    `--lite-expiration cannot be "${text}". Give a time with its unit: 30m, 2h, 30d; or 0 for never.`,
  );
}

export const TOPIC_COMMANDS: readonly Command[] = [
  {
    name: 'topic create',
    text: 'Create a topic on every broker set, or add queues to one.',
    positional: ['NAME'],
    flags: {
      type: {
        value: 'TYPE',
        text: `What messages it takes: ${SETTABLE.join(', ')}. Default normal.`,
        choices: SETTABLE,
      },
      queues: {
        value: 'N',
        type: 'number',
        min: 1,
        max: 1_024,
        text: 'Queues on each broker set. Default: the cluster’s.',
      },
      'lite-expiration': {
        value: 'TIME',
        text: 'With --type lite: a lite topic ends after so long without a message, such as 2h or 30d; never for 0.',
      },
    },
    example: 'fulmar topic create orders --type fifo --queues 8',
    async run({ proxy, values }) {
      const type = TYPES.indexOf(values.text('type') ?? 'normal');
      const expiration = expirationOf(values.text('lite-expiration'));
      const request = { name: values.required('NAME'), type, queues: values.number('queues') ?? 0, ...expiration };
      const { topic } = await proxy.admin<{ topic: TopicInfo }>('CreateTopic', request);
      const queues = count(queuesOf(topic), 'queue');
      const text = `Topic ${topic.name} (${typeName(topic.type)}) has ${queues}: ${partsOf(topic)}.`;
      return { json: plain(topic), text };
    },
  },
  {
    name: 'topic list',
    text: 'List topics.',
    positional: ['[PREFIX]'],
    flags: {},
    example: 'fulmar topic list orders-',
    async run({ proxy, values }) {
      const topics = await listAll<TopicInfo>(proxy, 'ListTopics', 'topics', values.text('PREFIX') ?? '');
      const rows = topics.map((topic) => [topic.name, typeName(topic.type), queuesOf(topic), partsOf(topic)]);
      const text = rows.length === 0 ? 'There are no topics.' : table(['topic', 'type', 'queues', 'on sets'], rows);
      return { json: topics.map(plain), text };
    },
  },
  {
    name: 'topic describe',
    text: 'Show the queues of a topic and who reads it.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar topic describe orders',
    async run({ proxy, values }) {
      return describe(await proxy.admin<TopicDetails>('DescribeTopic', { name: values.required('NAME') }));
    },
  },
  {
    name: 'topic lite',
    text: 'List the lite topics of a topic of type LITE.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar topic lite chats',
    async run({ proxy, values }) {
      const liteTopics: LiteTopicInfo[] = [];
      let page = '';
      do {
        const request = { topic: values.required('NAME'), pageSize: 0, page };
        const answer = await proxy.admin<{ liteTopics: readonly LiteTopicInfo[]; nextPage: string }>(
          'ListLiteTopics',
          request,
        );
        liteTopics.push(...answer.liteTopics);
        page = answer.nextPage;
      } while (page !== '');
      const rows = liteTopics.map(({ name, messages, newestStoredAtMs, consumers }) => [
        ...[name, messages, newestStoredAtMs === 0 ? '' : time(newestStoredAtMs), consumers],
      ]);
      const text =
        rows.length === 0 ? 'It has no lite topics.' : table(['lite topic', 'messages', 'newest', 'consumers'], rows);
      return { json: liteTopics, text };
    },
  },
  {
    name: 'topic spread',
    text: 'Spread the message groups of a topic over the broker sets of now; their order is not kept over that.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar topic spread orders',
    async run({ proxy, values }) {
      const { topic } = await proxy.admin<{ topic: TopicInfo }>('SpreadTopic', { name: values.required('NAME') });
      const text = `The message groups of ${topic.name} are on ${topic.messageGroupSets.join(' ')}.`;
      return { json: plain(topic), text };
    },
  },
  {
    name: 'topic change-type',
    text: 'Give a topic another type; to or from fifo and priority only when every group has consumed everything.',
    positional: ['NAME'],
    flags: {
      type: {
        value: 'TYPE',
        text: `What messages it takes from now on: ${CHANGEABLE.join(', ')}.`,
        choices: CHANGEABLE,
      },
    },
    example: 'fulmar topic change-type orders --type delay',
    async run({ proxy, values }) {
      const request = { name: values.required('NAME'), type: TYPES.indexOf(values.required('type')) };
      const { topic } = await proxy.admin<{ topic: TopicInfo }>('ChangeTopicType', request);
      return { json: plain(topic), text: `Topic ${topic.name} takes ${typeName(topic.type)} messages from now on.` };
    },
  },
  {
    name: 'topic delete',
    text: 'Delete a topic with its messages, for ever.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar topic delete orders',
    async run({ proxy, values }) {
      const name = values.required('NAME');
      await proxy.admin('DeleteTopic', { name });
      return { json: { deleted: name }, text: `Topic ${name} is deleted.` };
    },
  },
];
