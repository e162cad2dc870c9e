// Many topics cost memory and bytes in the log, and no files: what the data directory holds does not tell one topic
// from ten thousand.
import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { endAll } from './commands.ts';
import { administer } from './support/administration.ts';
import { allAtOnce } from './support/all-at-once.ts';
import { type Cluster, startCluster } from './support/cluster.ts';
import { MessagingClient, OK } from './support/messaging.ts';

const TOPICS = 10_000;
const QUEUES = 8;
const SAMPLE = 20;
const TEST_MS = 600_000;

afterEach(endAll, 60_000);

test(
  `${TOPICS} topics with ${QUEUES} queues each need no more files than one, and all of them serve after a kill`,
  async () => {
    const one = await startCluster();
    await makeTopics(one, ['the-only-one']);
    await sendTo(
      one,
      Array.from({ length: TOPICS }, () => 'the-only-one'),
    );
    const filesOfOne = filesIn(one);
    await one.stop();

    const names = Array.from({ length: TOPICS }, (_, i) => `topic-${i}`);
    const many = await startCluster();
    await makeTopics(many, names);
    await sendTo(many, names);
    expect(filesIn(many)).toBeLessThanOrEqual(filesOfOne);
    await many.kill();

    const again = await startCluster(many.dataDirectory);
    expect(filesIn(again)).toBeLessThanOrEqual(filesOfOne);
    const sample = names.filter((_, i) => i % (TOPICS / SAMPLE) === 0);
    await administer(again, async (administration) => {
      expect(await administration.topics()).toBe(TOPICS);
      await administration.createGroup('readers', { fromEarliest: true });
    });
    const client = new MessagingClient(again.proxy);
    for (const topic of sample) {
      const deliveries = await client.receive({ group: 'readers', topic, longPollMs: 10_000 });
      expect(deliveries.map(({ body }) => body.toString())).toEqual([`to ${topic}`]);
    }
    client.close();
  },
  TEST_MS,
);

async function makeTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  await administer(cluster, (administration) => allAtOnce(names, (name) => administration.createTopic(name, QUEUES)));
}

async function sendTo({ proxy }: Cluster, topics: readonly string[]): Promise<void> {
  const client = new MessagingClient(proxy);
  let next = 0;
  await allAtOnce(topics, async (topic) => {
    const [stored] = await client.send(topic, [{ messageId: `message-${next++}`, body: Buffer.from(`to ${topic}`) }]);
    expect(stored!.code).toBe(OK);
  });
  client.close();
}

function filesIn({ dataDirectory }: Cluster): number {
  return readdirSync(dataDirectory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}
