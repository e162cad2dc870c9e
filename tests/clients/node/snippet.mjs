// Sends one message to Fulmar and receives it again, with the official Node client (rocketmq-client-nodejs).
//   node snippet.mjs 127.0.0.1:8081

import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';

// One address is enough: the Proxy tells the client everything else.
const server = { endpoints: process.argv[2] ?? '127.0.0.1:8081', namespace: '' };

// A group receives what is sent from the moment on at which it first appears, so the consumer comes first.
const consumer = new SimpleConsumer({
  ...server,
  consumerGroup: 'hello-node-readers',
  subscriptions: new Map([['hello-node', '*']]),
});
await consumer.startup();

const producer = new Producer({ ...server, topics: ['hello-node'] });
await producer.startup();
const receipt = await producer.send({ topic: 'hello-node', body: Buffer.from('Hello, Fulmar!') });
console.log('sent', receipt.messageId);

// Up to 16 messages; one that is not acknowledged within 30 seconds comes again.
for (const message of await consumer.receive(16, 30_000)) {
  console.log('received', message.body.toString());
  await consumer.ack(message);
}

await producer.shutdown();
await consumer.shutdown();
