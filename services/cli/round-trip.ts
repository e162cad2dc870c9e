// One message round the cluster through the public API: sent, received by a group, acknowledged. For the demonstration
// of `fulmar run` and for `fulmar check`.
import { hostname } from 'node:os';
import { systemClock, systemRandom } from '@fulmar/runtime/clock.ts';
import { Refusal } from './command.ts';
import { check, MESSAGE_NOT_FOUND, type ProxyClient, type Status } from './proxy.ts';

interface Frame {
  readonly status?: Status | null;
  readonly message?: {
    readonly systemProperties: { readonly messageId: string; readonly receiptHandle: string };
    readonly body: Buffer;
  } | null;
}

/** Answers the id of the message. */
export async function sendText(proxy: ProxyClient, topic: string, body: string): Promise<string> {
  const messageId = `${systemRandom.uint32()}-${systemRandom.uint32()}`;
  const seconds = Math.floor(systemClock.wallMs() / 1000);
  const systemProperties = {
    messageId,
    bodyEncoding: 1,
    messageType: 1,
    bornTimestamp: { seconds },
    bornHost: hostname(),
  };
  await proxy.messaging('SendMessage', {
    messages: [{ topic: { name: topic }, systemProperties, body: Buffer.from(body) }],
  });
  return messageId;
}

/** Acknowledges whatever comes to the group, until this message was among it. Answers its body. */
export async function receiveUntil(
  proxy: ProxyClient,
  where: { readonly topic: string; readonly group: string },
  messageId: string,
  patienceMs: number,
): Promise<string> {
  const topic = { name: where.topic };
  const group = { name: where.group };
  const deadlineMs = systemClock.monotonicMs() + patienceMs;
  for (;;) {
    const messages = await receive(proxy, topic, group);
    const entries = messages.map(({ systemProperties: { messageId, receiptHandle } }) => ({
      messageId,
      receiptHandle,
    }));
    if (entries.length > 0) await proxy.messaging('AckMessage', { group, topic, entries });
    const mine = messages.find(({ systemProperties }) => systemProperties.messageId === messageId);
    if (mine !== undefined) return mine.body.toString();
    if (systemClock.monotonicMs() >= deadlineMs) {
      const advice = 'Look with fulmar broker list whether every broker set has a master.';
      throw new Refusal(`The message ${messageId} of ${where.topic} was sent and did not come in time. ${advice}`);
    }
  }
}

const WAIT_SECONDS = 5;

async function receive(proxy: ProxyClient, topic: object, group: object) {
  const request = {
    group,
    messageQueue: { topic, id: 0 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 32,
    invisibleDuration: { seconds: 30 },
    longPollingTimeout: { seconds: WAIT_SECONDS },
  };
  const frames = await proxy.messagingStream<Frame>('ReceiveMessage', request, (WAIT_SECONDS + 5) * 1_000);
  const status = frames.find((frame) => frame.status)?.status ?? null;
  if (status?.code === MESSAGE_NOT_FOUND) return [];
  check(status);
  return frames.flatMap((frame) => (frame.message ? [frame.message] : []));
}
