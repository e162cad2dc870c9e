// The official Node client under chaos: produces at a steady rate or consumes, and writes its history as lines of JSON
// on standard output. Whatever the client throws is written down and the program goes on; SIGTERM ends it in good
// order.

import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    /** Where the client is installed: a directory that has node_modules. */
    packages: { type: 'string' },
    role: { type: 'string' },
    name: { type: 'string' },
    endpoint: { type: 'string' },
    topic: { type: 'string' },
    group: { type: 'string' },
    rate: { type: 'string', default: '10' },
    /** Message groups of a producer; 0 for messages without any. */
    lines: { type: 'string', default: '0' },
    'invisible-ms': { type: 'string', default: '15000' },
    'poll-ms': { type: 'string', default: '5000' },
  },
});
const require = createRequire(`${options.packages}/`);
const { ConsumeResult, Producer, PushConsumer, SimpleConsumer } = require('rocketmq-client-nodejs');

const { name, topic, group: consumerGroup } = options;
const server = { endpoints: options.endpoint, namespace: '' };
const UNDER_WAY_MAX = 64;
const REST_AFTER_ERROR_MS = 200;
let stopping = false;
process.on('SIGTERM', () => {
  stopping = true;
});
// Promises that the client's own timers leave behind must not end a run.
process.on('unhandledRejection', (reason) => write({ event: 'note', text: `unhandled: ${reason}` }));
process.on('uncaughtException', (error) => write({ event: 'note', text: `uncaught: ${error.stack}` }));

function write(event) {
  const atMs = Number(process.hrtime.bigint() / 1_000n) / 1_000;
  process.stdout.write(`${JSON.stringify({ atMs, client: name, ...event })}\n`);
}

const said = (error) => String(error?.message ?? error).slice(0, 300);

async function send(producer, key, group, sequence) {
  const about = { event: 'send', topic, key, ...(group === undefined ? {} : { group, sequence }) };
  write({ ...about, state: 'invoke' });
  try {
    const { messageId } = await producer.send({ topic, body: Buffer.from(key), messageGroup: group });
    write({ ...about, state: 'ok', messageId });
  } catch (error) {
    write({ ...about, state: 'unknown', text: said(error) });
    await sleep(REST_AFTER_ERROR_MS);
  }
}

async function produce() {
  const producer = new Producer({ ...server, topics: [topic] });
  await started(producer);
  const everyMs = 1_000 / Number(options.rate);
  const lines = Number(options.lines);
  if (lines > 0) {
    // One after the other in each line, since only then there is an order to keep.
    const line = async (number) => {
      const group = `${name}-line-${number}`;
      for (let sequence = 0; !stopping; sequence++) {
        const begun = performance.now();
        await send(producer, `${group}-${sequence}`, group, sequence);
        await sleep(Math.max(0, everyMs * lines - (performance.now() - begun)));
      }
    };
    await Promise.all(Array.from({ length: lines }, (_, number) => line(number)));
  } else {
    const underWay = new Set();
    for (let sequence = 0, dueMs = performance.now(); !stopping; dueMs += everyMs) {
      await sleep(Math.max(0, dueMs - performance.now()));
      if (underWay.size >= UNDER_WAY_MAX) {
        await Promise.race(underWay);
        dueMs = performance.now();
      }
      const sending = send(producer, `${name}-${sequence++}`).finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
    await Promise.all(underWay);
  }
  write({ event: 'done' });
  await producer.shutdown();
}

const about = (message) => ({
  topic,
  consumerGroup,
  key: message.body.toString(),
  messageId: message.messageId,
  attempt: message.deliveryAttempt ?? 1,
});

async function acknowledge(consumer, message) {
  const event = { event: 'ack', ...about(message) };
  write({ ...event, state: 'invoke' });
  try {
    await consumer.ack(message);
    write({ ...event, state: 'ok' });
  } catch (error) {
    // A code of the caller's own fault is a refusal; anything else may have counted.
    const refused = error?.code >= 40_000 && error.code < 50_000;
    write({ ...event, state: refused ? 'fail' : 'unknown', text: said(error) });
  }
}

async function consumeSimply() {
  const consumer = new SimpleConsumer({
    ...server,
    consumerGroup,
    subscriptions: new Map([[topic, '*']]),
    awaitDuration: Number(options['poll-ms']),
  });
  await started(consumer);
  const work = async () => {
    while (!stopping) {
      try {
        const messages = await consumer.receive(16, Number(options['invisible-ms']));
        for (const message of messages) write({ event: 'deliver', ...about(message) });
        // In order within a message group, else at once: on a busy machine readers would fall behind the producers.
        const lines = Map.groupBy(messages, ({ messageGroup, messageId }) => messageGroup || messageId);
        await Promise.all(
          [...lines.values()].map(async (line) => {
            for (const message of line) await acknowledge(consumer, message);
          }),
        );
      } catch (error) {
        if (stopping) return;
        write({ event: 'note', text: `receive: ${said(error)}` });
        await sleep(REST_AFTER_ERROR_MS);
      }
    }
  };
  await Promise.all([work(), work()]);
  write({ event: 'done' });
  await consumer.shutdown();
}

/** The client settles by itself; `invoke` is the moment in which our listener says that it may. */
async function consumePushed() {
  const messageListener = {
    async consume(message) {
      write({ event: 'deliver', ...about(message) });
      write({ event: 'ack', state: 'invoke', ...about(message) });
      return ConsumeResult.SUCCESS;
    },
  };
  const consumer = new PushConsumer({
    ...server,
    consumerGroup,
    subscriptions: new Map([[topic, '*']]),
    messageListener,
  });
  await started(consumer);
  while (!stopping) await sleep(100);
  write({ event: 'done' });
  await consumer.shutdown();
}

async function started(client) {
  for (;;) {
    try {
      await client.startup();
      break;
    } catch (error) {
      write({ event: 'note', text: `startup: ${said(error)}` });
      await sleep(REST_AFTER_ERROR_MS);
      if (stopping) process.exit(0);
    }
  }
  write({ event: 'ready' });
}

await { produce, simple: consumeSimply, push: consumePushed }[options.role]();
process.exit(0);
