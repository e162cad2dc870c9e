// Drives the official Node client from the command line; every event is one line of JSON on standard output.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  ConsumeResult,
  FilterExpression,
  LitePushConsumerBuilder,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from 'rocketmq-client-nodejs';

const started = performance.now();
const text = (fallback) => ({ type: 'string', ...(fallback === undefined ? {} : { default: fallback }) });
const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    endpoint: text(),
    topic: text(),
    group: text(),
    prefix: text(),
    tag: text(),
    sql: text(),
    property: text(),
    'group-key': text(),
    'lite-topic': text(),
    'lite-topics': text(),
    end: text('none'),
    answer: text('unknown'),
    count: text('1'),
    expect: text('1'),
    concurrency: text('8'),
    timeout: text('60'),
    invisible: text('30'),
    linger: text('1'),
    delay: text('0'),
    priorities: text('0'),
    'recall-every': text('0'),
    'fail-first-attempt': text('0'),
    'fail-always': { type: 'boolean', default: false },
  },
});
const number = (name) => Number(options[name]);
const topics = options.topic.split(',');
const server = { endpoints: options.endpoint, namespace: '' };
const expression = options.sql === undefined ? (options.tag ?? '*') : new FilterExpression(options.sql, 2);
const consumerOptions = () => ({
  ...server,
  consumerGroup: options.group,
  subscriptions: new Map(topics.map((topic) => [topic, expression])),
});

function report(event, details = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...details })}\n`);
}

async function produce() {
  const producer = new Producer({ ...server, topics });
  await producer.startup();
  report('ready');
  const count = number('count');
  let next = 0;
  const sendUntilAllAreSent = async () => {
    while (next < count) {
      const index = next++;
      const body = `${options.prefix}-${index}`;
      const message = {
        topic: topics[0],
        body: Buffer.from(body),
        tag: options.tag,
        messageGroup: options['group-key'],
        liteTopic: options['lite-topic'],
        ...(number('delay') > 0 ? { deliveryTimestamp: new Date(Date.now() + number('delay') * 1000) } : {}),
        ...(number('priorities') > 0 ? { priority: 1 + (index % number('priorities')) } : {}),
        properties: options.property === undefined ? undefined : new Map([[options.property, String(index)]]),
      };
      const receipt = await producer.send(message);
      report('sent', { id: receipt.messageId, body });
      if (number('recall-every') > 0 && index % number('recall-every') === 0) {
        await producer.recallMessage(topics[0], receipt.recallHandle);
        report('recalled', { id: receipt.messageId, body });
      }
    }
  };
  // Messages of one group or lite topic keep their order only when each is sent after the one before it.
  const inOrder = options['group-key'] !== undefined || options['lite-topic'] !== undefined;
  const concurrency = inOrder ? 1 : number('concurrency');
  await Promise.all(Array.from({ length: concurrency }, sendUntilAllAreSent));
  report('done', { count, milliseconds: Math.round(performance.now() - started) });
  await producer.shutdown();
  return true;
}

/** Sends half messages, does with each what `--end` says, and answers what the server asks as `--answer` says. */
async function transact() {
  const checker = {
    async check(message) {
      report('asked', { id: message.messageId, body: message.body.toString() });
      return { commit: 1, rollback: 2, unknown: 0 }[options.answer];
    },
  };
  const producer = new Producer({ ...server, topics, checker });
  await producer.startup();
  report('ready');
  for (let index = 0; index < number('count'); index++) {
    const body = `${options.prefix}-${index}`;
    const transaction = producer.beginTransaction();
    const { messageId } = await producer.send({ topic: topics[0], body: Buffer.from(body) }, transaction);
    report('sent', { id: messageId, body });
    if (options.end === 'commit') await transaction.commit();
    if (options.end === 'rollback') await transaction.rollback();
  }
  report('done', { milliseconds: Math.round(performance.now() - started) });
  await sleep(number('linger') * 1000);
  await producer.shutdown();
  return true;
}

// All is there when the distinct bodies are, or the deliveries when every one of them fails.
const tally = { bodies: new Set(), deliveries: 0, over: false };
const complete = () => (options['fail-always'] ? tally.deliveries : tally.bodies.size) >= number('expect');

function add(message, result) {
  const body = message.body.toString();
  tally.deliveries++;
  if (result === 'ack') tally.bodies.add(body);
  report('received', { id: message.messageId, body, attempt: message.deliveryAttempt, result });
}

async function waitForAll() {
  const end = performance.now() + number('timeout') * 1000;
  while (!complete() && performance.now() < end) await sleep(50);
  if (complete()) await sleep(number('linger') * 1000); // The consumer stays a little, to see whether any comes twice.
}

function conclude() {
  tally.over = true;
  report(complete() ? 'done' : 'error', {
    text: `${tally.bodies.size} of ${options.expect} bodies, ${tally.deliveries} deliveries`,
    bodies: tally.bodies.size,
    deliveries: tally.deliveries,
    milliseconds: Math.round(performance.now() - started),
  });
  return complete();
}

function fails(message) {
  if (options['fail-always']) return true;
  const every = number('fail-first-attempt');
  const index = Number(message.body.toString().split('-').at(-1));
  return every > 0 && message.deliveryAttempt === 1 && index % every === 0;
}

const messageListener = {
  async consume(message) {
    const failed = fails(message);
    add(message, failed ? 'fail' : 'ack');
    return failed ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
  },
};

/** Reads the lite topics of `--lite-topics`, and no other of the topic. */
async function litePush() {
  const consumer = await new LitePushConsumerBuilder()
    .setClientConfiguration(server)
    .setConsumerGroup(options.group)
    .bindTopic(topics[0])
    .setMessageListener(messageListener)
    .build();
  for (const name of options['lite-topics'].split(',')) await consumer.subscribeLite(name);
  report('ready');
  await waitForAll();
  const success = conclude();
  await consumer.close();
  return success;
}

async function push() {
  const consumer = new PushConsumer({ ...consumerOptions(), messageListener });
  await consumer.startup();
  await sleep(2000); // The client asks for its queues one second after its start and polls them from then on.
  report('ready');
  await waitForAll();
  const success = conclude();
  await consumer.shutdown();
  return success;
}

/** How long a simple consumer puts off what it fails. */
const PUT_OFF_MS = 2_000;

async function simple() {
  const consumer = new SimpleConsumer(consumerOptions());
  await consumer.startup();
  report('ready');
  const receive = async () => {
    while (!tally.over) {
      try {
        for (const message of await consumer.receive(32, number('invisible') * 1000)) {
          const failed = fails(message);
          if (failed) await consumer.changeInvisibleDuration(message, PUT_OFF_MS);
          else await consumer.ack(message);
          add(message, failed ? 'fail' : 'ack');
        }
      } catch (failure) {
        if (tally.over) return;
        report('error', { text: `receive: ${failure}` });
        await sleep(1000);
      }
    }
  };
  receive();
  await waitForAll();
  const success = conclude();
  await consumer.shutdown();
  return success;
}

try {
  const success = await { produce, push, simple, 'lite-push': litePush, transact }[positionals[0]]();
  process.exit(success ? 0 : 1);
} catch (failure) {
  report('error', { text: String(failure?.stack ?? failure) });
  process.exit(1);
}
