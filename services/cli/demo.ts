// One message round the cluster through the public API, so that a newcomer sees at once that it works.
import { hostname } from 'node:os';
import { systemClock, systemRandom } from '@fulmar/runtime/clock.ts';
import { GRPC_STATUS, RpcFailure } from '@fulmar/runtime/rpc.ts';
import { check, openProxy, type Status } from './proxy.ts';

const TOPIC = { name: 'fulmar-demo' };
const GROUP = { name: 'fulmar-demo' };

interface Frame {
  readonly status?: Status | null;
  readonly message?: {
    readonly systemProperties: { readonly messageId: string; readonly receiptHandle: string };
    readonly body: Buffer;
  } | null;
}

/** Rejects if the message does not come back. */
export async function demonstrate(endpoint: string, print: (line: string) => void): Promise<void> {
  const id = `${hostname()}@${process.pid}@demo@${systemRandom.uint32().toString(36)}`;
  const proxy = openProxy(endpoint, { tls: 'off' }, id);
  try {
    await ignoreExisting(proxy.admin('CreateGroup', { name: GROUP.name }));
    const startedAt = systemClock.monotonicMs();
    const messageId = `${systemRandom.uint32()}-${systemRandom.uint32()}`;
    const body = `Hello from process ${process.pid}`;
    const seconds = Math.floor(systemClock.wallMs() / 1000);
    await proxy.messaging('SendMessage', {
      messages: [
        {
          topic: TOPIC,
          systemProperties: {
            messageId,
            bodyEncoding: 1,
            messageType: 1,
            bornTimestamp: { seconds },
            bornHost: hostname(),
          },
          body: Buffer.from(body),
        },
      ],
    });
    print(`Sent "${body}" to the topic ${TOPIC.name}.`);
    for (;;) {
      const messages = await receive(proxy);
      const entries = messages.map(({ systemProperties: { messageId, receiptHandle } }) => ({
        messageId,
        receiptHandle,
      }));
      await proxy.messaging('AckMessage', { group: GROUP, topic: TOPIC, entries });
      const mine = messages.find(({ systemProperties }) => systemProperties.messageId === messageId);
      if (mine === undefined) continue;
      const milliseconds = (systemClock.monotonicMs() - startedAt).toFixed(1);
      print(
        `Received "${mine.body.toString()}" as group ${GROUP.name}, and acknowledged it, ${milliseconds} ms later.\n`,
      );
      return;
    }
  } finally {
    proxy.close();
  }
}

const WAIT_SECONDS = 5;

async function receive(proxy: ReturnType<typeof openProxy>) {
  const request = {
    group: GROUP,
    messageQueue: { topic: TOPIC, id: 0 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 32,
    invisibleDuration: { seconds: 30 },
    longPollingTimeout: { seconds: WAIT_SECONDS },
  };
  const frames = await proxy.messagingStream<Frame>('ReceiveMessage', request, (WAIT_SECONDS + 5) * 1_000);
  check(frames.find((frame) => frame.status)?.status ?? null);
  return frames.flatMap((frame) => (frame.message ? [frame.message] : []));
}

async function ignoreExisting(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (problem) {
    if (!(problem instanceof RpcFailure) || problem.grpcStatus !== GRPC_STATUS.FAILED_PRECONDITION) throw problem;
  }
}
