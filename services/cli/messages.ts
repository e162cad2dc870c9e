// `fulmar send` and `fulmar receive`, through the same public API that every client uses. Receive shows a message first
// and acknowledges it then: one that nobody saw comes again.

import { LIMITS } from '@fulmar/core/limits.ts';
import { splitResourceKey } from '@fulmar/core/names.ts';
import { GRPC_STATUS, RpcFailure } from '@fulmar/runtime/rpc.ts';
import type { Answer, Command, CommandContext } from './command.ts';
import { UsageError } from './command.ts';
import { messageToSend } from './message-to-send.ts';
import { check, MESSAGE_NOT_FOUND, type Status } from './proxy.ts';
import { printable } from './table.ts';

interface ReceivedMessage {
  readonly userProperties: Readonly<Record<string, string>>;
  readonly systemProperties: {
    readonly messageId: string;
    readonly tag?: string;
    readonly keys: readonly string[];
    readonly messageGroup?: string;
    readonly liteTopic?: string;
    readonly receiptHandle: string;
    readonly queueId: number;
    readonly queueOffset: number;
    readonly deliveryAttempt: number;
    readonly bornTimestamp: { readonly seconds: number; readonly nanos: number } | null;
  };
  readonly body: Buffer;
}

interface ReceiveFrame {
  readonly status?: Status | null;
  readonly message?: ReceivedMessage | null;
}

/** Long enough to print and acknowledge. */
const INVISIBLE_SECONDS = 30;
const DEFAULT_WAIT_SECONDS = 5;
const DEFAULT_MESSAGES = 16;
/** Of OffsetOption.Policy: the oldest message kept. */
const MIN = 1;

function resource(key: string) {
  const { namespace, name } = splitResourceKey(key);
  return { resourceNamespace: namespace, name };
}

async function send({ proxy, values, input }: CommandContext): Promise<Answer> {
  const given = values.text('BODY');
  const body = given === undefined ? await input() : Buffer.from(given);
  if (body.length === 0) throw new UsageError('The message has no body. Write it behind the topic, or pipe it in.');
  const topic = resource(values.required('TOPIC'));
  const message = messageToSend(topic, body, values);
  const response = await proxy.messaging<{
    entries: readonly {
      readonly status: Status;
      readonly messageId: string;
      readonly offset: number;
      readonly recallHandle?: string;
    }[];
  }>('SendMessage', { messages: [message] });
  const entry = response.entries[0]!;
  check(entry.status);
  const { messageId, offset, recallHandle } = entry;
  if (!recallHandle) return { json: { messageId, offset }, text: `Sent ${messageId}.` };
  const text = `Sent ${messageId}, to be delivered at its time. To recall it:\n${recallHandle}`;
  return { json: { messageId, offset, recallHandle }, text };
}

async function recall({ proxy, values }: CommandContext): Promise<Answer> {
  const request = { topic: resource(values.required('TOPIC')), recallHandle: values.required('HANDLE') };
  const { messageId } = await proxy.messaging<{ readonly messageId: string }>('RecallMessage', request);
  return { json: { recalled: messageId }, text: `${messageId} is recalled: it will not be delivered.` };
}

async function poll(context: CommandContext, messages: number, waitMs: number): Promise<ReceivedMessage[]> {
  const { proxy, values } = context;
  const sql = values.text('sql');
  const frames = await proxy.messagingStream<ReceiveFrame>(
    'ReceiveMessage',
    {
      group: resource(values.required('group')),
      messageQueue: { topic: resource(values.required('TOPIC')), id: 0 },
      filterExpression:
        sql === undefined ? { type: 1, expression: values.text('tag') ?? '*' } : { type: 2, expression: sql },
      batchSize: Math.min(messages, LIMITS.receiveBatchMessages),
      invisibleDuration: { seconds: INVISIBLE_SECONDS, nanos: 0 },
      autoRenew: false,
      longPollingTimeout: { seconds: Math.floor(waitMs / 1000), nanos: (waitMs % 1000) * 1_000_000 },
    },
    waitMs + 10_000,
  );
  const status = frames.find((frame) => frame.status)?.status ?? null;
  if (status?.code === MESSAGE_NOT_FOUND) return [];
  check(status);
  return frames.flatMap((frame) => (frame.message ? [frame.message] : []));
}

async function acknowledge({ proxy, values }: CommandContext, messages: readonly ReceivedMessage[]): Promise<void> {
  const entries = messages.map(({ systemProperties: { messageId, receiptHandle } }) => ({ messageId, receiptHandle }));
  const request = { group: resource(values.required('group')), topic: resource(values.required('TOPIC')), entries };
  await proxy.messaging('AckMessage', request);
}

/** Shows before it acknowledges; as JSON it is one list, which grows while messages come. */
async function receive(context: CommandContext): Promise<undefined> {
  const { values, json, output } = context;
  const wanted = values.number('max') ?? DEFAULT_MESSAGES;
  const waitMs = Math.max(LIMITS.longPollMinMs, (values.number('wait') ?? DEFAULT_WAIT_SECONDS) * 1000);
  await makeGroup(context);
  await subscribe(context);
  let shown = 0;
  if (json) output('[');
  try {
    while (shown < wanted) {
      const messages = await poll(context, wanted - shown, shown === 0 ? waitMs : LIMITS.longPollMinMs);
      if (messages.length === 0) break;
      for (const message of messages) {
        output(json ? `${shown === 0 ? '' : ','}${JSON.stringify(plain(message))}` : show(message));
        shown++;
      }
      await acknowledge(context, messages);
    }
  } finally {
    await leave(context);
  }
  if (json) output(']');
  else if (shown === 0) output('No message came.');
}

/** With lite topics to read, this command is a lite consumer, which says so first. */
async function subscribe({ proxy, values }: CommandContext): Promise<void> {
  const liteTopicSet = values.list('lite-topic');
  if (liteTopicSet.length === 0) return;
  const request = {
    topic: resource(values.required('TOPIC')),
    group: resource(values.required('group')),
    liteTopicSet,
  };
  const offsetOption = values.text('from') === 'earliest' ? { offsetOption: { policy: MIN } } : {};
  await proxy.messaging('SyncLiteSubscription', { ...request, ...offsetOption });
}

/** With `--from` a group that does not exist comes into being there; one that exists is left as it is. */
async function makeGroup({ proxy, values }: CommandContext): Promise<void> {
  const from = values.text('from');
  if (from === undefined) return;
  const name = values.required('group');
  try {
    await proxy.admin('DescribeGroup', { name });
  } catch (problem) {
    if (!(problem instanceof RpcFailure) || problem.grpcStatus !== GRPC_STATUS.NOT_FOUND) throw problem;
    const liteTopic = values.list('lite-topic').length === 0 ? '' : values.required('TOPIC');
    await proxy.admin('CreateGroup', { name, settings: { fromEarliest: from === 'earliest', liteTopic } });
  }
}

/** So that nobody counts this command among the consumers; when that fails the proxy finds out by itself. */
async function leave({ proxy, values }: CommandContext): Promise<void> {
  await proxy.messaging('NotifyClientTermination', { group: resource(values.required('group')) }).catch(() => {});
}

function bodyOf(body: Buffer): { readonly body: string } | { readonly bodyBase64: string } {
  const text = body.toString();
  return Buffer.from(text).equals(body) ? { body: text } : { bodyBase64: body.toString('base64') };
}

function plain({ userProperties, systemProperties: system, body }: ReceivedMessage) {
  const born = system.bornTimestamp;
  return {
    messageId: system.messageId,
    tag: system.tag || undefined,
    keys: system.keys,
    messageGroup: system.messageGroup || undefined,
    liteTopic: system.liteTopic || undefined,
    properties: userProperties,
    attempt: system.deliveryAttempt,
    queueId: system.queueId,
    queueOffset: system.queueOffset,
    bornAtMs: born === null ? undefined : born.seconds * 1000 + Math.floor(born.nanos / 1_000_000),
    ...bodyOf(body),
  };
}

/** A line about the message, then its body. */
function show(message: ReceivedMessage): string {
  const { messageId, tag, keys, messageGroup, liteTopic, deliveryAttempt } = message.systemProperties;
  const facts = [messageId];
  if (tag) facts.push(`tag=${tag}`);
  if (keys.length > 0) facts.push(`keys=${keys.join(',')}`);
  if (messageGroup) facts.push(`message-group=${messageGroup}`);
  if (liteTopic) facts.push(`lite-topic=${liteTopic}`);
  for (const [name, value] of Object.entries(message.userProperties)) facts.push(`${name}=${value}`);
  if (deliveryAttempt > 1) facts.push(`attempt=${deliveryAttempt}`);
  const body = bodyOf(message.body);
  const text = 'body' in body ? body.body : `(${message.body.length} bytes, base64) ${body.bodyBase64}`;
  return printable(`-- ${facts.join(' ').replaceAll('\n', ' ')}\n${text}`);
}

export const MESSAGE_COMMANDS: readonly Command[] = [
  {
    name: 'send',
    text: 'Send one message; its body is read from the standard input when it is not given.',
    positional: ['TOPIC', '[BODY]'],
    flags: {
      tag: { value: 'TAG', text: 'The message’s tag, by which consumers filter.' },
      key: { value: 'KEY', text: 'A key to find it by; may be repeated.', repeated: true },
      property: { value: 'NAME=VALUE', text: 'A property of your own; may be repeated.', repeated: true },
      'message-group': { value: 'GROUP', text: 'Messages of one group are consumed in order (FIFO topics).' },
      'lite-topic': { value: 'NAME', text: 'The lite topic that it goes to (topics of type lite).' },
      priority: {
        value: 'N',
        type: 'number',
        min: 0,
        max: LIMITS.priorities - 1,
        text: 'The message with the higher one is delivered first (priority topics).',
      },
      delay: { value: 'TIME', text: 'Deliver it only after this time: 30s, 10m, 2h (delay topics).' },
      at: { value: 'MOMENT', text: 'Deliver it at this date and time: 2026-12-24T18:00:00Z (delay topics).' },
    },
    example: 'fulmar send orders "one coffee" --tag created --key order-17 --property shop=3',
    run: send,
  },
  {
    name: 'message recall',
    text: 'Take a delayed message back before its time.',
    positional: ['TOPIC', 'HANDLE'],
    flags: {},
    example: 'fulmar message recall reminders AbCd...',
    run: recall,
  },
  {
    name: 'receive',
    text: 'Show messages and acknowledge what was shown.',
    positional: ['TOPIC'],
    flags: {
      group: { value: 'GROUP', text: 'The consumer group.', required: true },
      max: {
        value: 'N',
        type: 'number',
        min: 1,
        max: 1_000_000,
        text: `At most so many. Default ${DEFAULT_MESSAGES}.`,
      },
      wait: {
        value: 'SECONDS',
        type: 'number',
        min: 0,
        max: LIMITS.longPollMaxMs / 1000,
        text: `How long to wait for the first one. Default ${DEFAULT_WAIT_SECONDS}.`,
      },
      from: {
        value: 'WHERE',
        choices: ['latest', 'earliest'],
        text: 'Make the group first if there is none: to begin with new messages, or with the oldest kept.',
      },
      'lite-topic': {
        value: 'NAME',
        text: 'A lite topic to read (topics of type lite); may be repeated.',
        repeated: true,
      },
      tag: { value: 'TAG', text: 'Only messages with this tag; several are written "a || b".' },
      sql: { value: 'EXPRESSION', text: 'Only messages whose properties make this true, such as "price > 5".' },
    },
    example: 'fulmar receive orders --group billing --max 10 --wait 20',
    run: receive,
  },
];
