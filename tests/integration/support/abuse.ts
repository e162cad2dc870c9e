// What clients do that behave badly or just want very much, and somebody else who is to be served all the same.
import { LIMITS } from '@fulmar/core/limits.ts';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { GRPC_STATUS, type RpcFailure } from '@fulmar/runtime/rpc.ts';
import { expect } from '@jest/globals';
import { boundlessWindow, grpcHeaders, headersFrames, messageFrames, openSocket, PREFACE } from './http2-frames.ts';
import { duration, MessagingClient, OK, RefusedError, SERVICE, TOO_MANY_REQUESTS } from './messaging.ts';
import { MEBIBYTE } from './process-memory.ts';
import { pause } from './waiting.ts';

const { RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED } = GRPC_STATUS;

/** In-band code of a call to the broker that was not answered in time. */
const PROXY_TIMEOUT = 50_400;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** Whoever has a proxy, as host:port. */
interface Served {
  readonly proxy: string;
}

export const FOUR_MEBIBYTES = Buffer.alloc(4 * MEBIBYTE, 'large ');

export async function pollAndNeverRead({ proxy }: Served, clientId: string): Promise<void> {
  const socket = await openSocket(proxy);
  socket.pause();
  const request = serviceDefinition(SERVICE).ReceiveMessage!.requestSerialize({
    group: { name: 'deaf' },
    messageQueue: { topic: { name: 'large' }, id: -1 },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 32,
    invisibleDuration: duration(30_000),
    longPollingTimeout: duration(20_000),
  });
  socket.write(Buffer.concat([PREFACE, boundlessWindow()]));
  const headers = grpcHeaders(`/${SERVICE}/ReceiveMessage`, [['x-mq-client-id', clientId]]);
  socket.write(Buffer.concat([headersFrames(1, headers), messageFrames(1, request)]));
}

/** Somebody else sends and receives a message. */
export async function expectService({ proxy }: Served, messageId: string): Promise<void> {
  const client = new MessagingClient(proxy);
  const body = Buffer.from(`good ${messageId}`);
  expect((await client.send('small', [{ messageId, body }]))[0]!.code).toBe(OK);
  const [delivery] = await client.receive({ group: 'good', topic: 'small', longPollMs: 10_000 });
  expect(delivery).toMatchObject({ messageId, body });
  expect(await client.acknowledge('good', 'small', [delivery!])).toEqual([OK]);
  client.close();
}

export async function fill(client: MessagingClient, topic: string, count: number): Promise<void> {
  const body = Buffer.from('x');
  let next = 0;
  const senders = Array.from({ length: 4 }, async () => {
    while (next < count) {
      const from = next;
      next += LIMITS.sendBatchMessages;
      const messages = Array.from({ length: LIMITS.sendBatchMessages }, (_, i) => ({
        messageId: `m-${from + i}`,
        body,
      }));
      const stored = await client.send(topic, messages);
      if (stored.some(({ code }) => code !== OK)) throw new Error(`not stored: ${JSON.stringify(stored)}`);
    }
  });
  await Promise.all(senders);
}

/** Receives until nothing more comes; returns how many messages it has got. */
export async function takeAll(client: MessagingClient, group: string, topic: string): Promise<number> {
  let held = 0;
  const receivers = Array.from({ length: 8 }, async () => {
    for (;;) {
      const deliveries = await client.receive({ group, topic, invisibleMs: 3_600_000, longPollMs: 2_000 });
      if (deliveries.length === 0) return;
      held += deliveries.length;
    }
  });
  await Promise.all(receivers);
  return held;
}

/** Large messages, sent by many at once and received by as many: all are stored, however often refused first. */
export async function exchangeLarge(served: Served, clientCount: number, readerCount: number): Promise<void> {
  const lanes = 4;
  const count = clientCount * lanes * 4;
  const clients = Array.from({ length: clientCount }, () => new MessagingClient(served.proxy));
  const senders = clients.flatMap((client, of) =>
    Array.from({ length: lanes }, async (_, lane) => {
      let pauseMs = FIRST_PAUSE_MS;
      for (let i = 0; i < 4; ) {
        const answer = await client.send('large', [{ messageId: `${of}-${lane}-${i}`, body: FOUR_MEBIBYTES }]).then(
          ([one]) => one!.code,
          ({ grpcStatus, code }) => (grpcStatus === RESOURCE_EXHAUSTED ? TOO_MANY_REQUESTS : (code ?? grpcStatus)),
        );
        // On a busy machine the broker may be too slow for the proxy; the message is sent again, and stored once.
        expect([OK, TOO_MANY_REQUESTS, PROXY_TIMEOUT]).toContain(answer);
        if (answer === OK) {
          i++;
          pauseMs = FIRST_PAUSE_MS;
        } else {
          // As official producers do.
          await pause(pauseMs);
          pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
        }
      }
    }),
  );
  let received = 0;
  const receivers = clients.slice(0, readerCount).map(async (client) => {
    while (received < count) {
      // When too many large answers are under way, one of them breaks off, and its messages go to whoever asks next.
      // On a busy machine one comes too late, which the server may notice first.
      const request = { group: 'readers', topic: 'large', longPollMs: 1_000 };
      const deliveries = await client.receive(request).catch((failure: RpcFailure | RefusedError) => {
        if (failure instanceof RefusedError) expect(failure.code).toBe(TOO_MANY_REQUESTS);
        else expect([RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED]).toContain(failure.grpcStatus);
        return [];
      });
      for (const { body } of deliveries) expect(body.equals(FOUR_MEBIBYTES)).toBe(true);
      received += deliveries.length;
      if (deliveries.length > 0) await client.acknowledge('readers', 'large', deliveries);
    }
  });
  await Promise.all([...senders, ...receivers]);
  for (const client of clients) client.close();
}
