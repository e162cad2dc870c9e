// Finding messages and telling what became of them, against a broker on a simulated disk: what was stored is found by
// id, key and time wherever its segment is, and the story of a message is the one that was played.
import { LIMITS } from '@fulmar/core/limits.ts';
import { describe, expect, test } from '@jest/globals';
import { DIRECTORY, kindsOf, TOPIC, World } from './finding-world.ts';

async function filled(seed: number, count: number): Promise<{ world: World; ids: string[] }> {
  const world = new World(seed);
  await world.begin();
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(await world.send({ keys: [`all`, `key-${i % 10}`] }));
    await world.scheduler.runFor(100);
  }
  return { world, ids };
}

describe('a stored message', () => {
  test('is found by its id in whatever segment it lies, also after a restart', async () => {
    const { world, ids } = await filled(1, 150);
    for (const isRestarted of [false, true]) {
      if (isRestarted) await world.restart();
      for (const messageId of ids) {
        const found = await world.find({ messageId, withBody: true });
        expect(found.map((one) => [one.messageId, one.standing, Buffer.from(one.body).toString()])).toEqual([
          [messageId, 'queued', messageId],
        ]);
      }
      expect(await world.find({ messageId: 'letter-150' })).toEqual([]);
    }
  });

  test('is found by each of its keys, page by page and the newest first, and not in another topic', async () => {
    const { world, ids } = await filled(2, 150);
    await world.settle(world.broker.putTopic({ name: 'others', type: 'normal', queues: 1 }));
    const newestFirst = [...ids].reverse();
    expect((await world.find({ topic: TOPIC, key: 'all' })).map((one) => one.messageId)).toEqual(newestFirst);
    expect((await world.find({ topic: TOPIC, key: 'key-3' })).map((one) => one.messageId)).toEqual(
      newestFirst.filter((_, i) => (149 - i) % 10 === 3),
    );
    expect(await world.find({ topic: 'others', key: 'all' })).toEqual([]);
    expect(await world.find({ topic: TOPIC, key: 'key-10' })).toEqual([]);
  });

  test('is found by the time at which it was stored, page by page and the oldest first over all queues', async () => {
    const { world, ids } = await filled(3, 150);
    const all = await world.find({ topic: TOPIC });
    expect(all.map((one) => one.messageId)).toEqual(ids);
    const [fromMs, toMs] = [all[40]!.storedAtMs, all[90]!.storedAtMs];
    const some = await world.find({ topic: TOPIC, fromMs, toMs });
    expect(some.map((one) => one.messageId)).toEqual(ids.slice(40, 90));
    expect((await world.find({ topic: TOPIC, key: 'all', fromMs, toMs })).map((one) => one.messageId)).toEqual(
      ids.slice(40, 90).reverse(),
    );
  });

  test.each(['missing', 'damaged', 'of another segment'])(
    'is found when the key file of its segment is %s, which is whole again then',
    async (harm) => {
      const { world, ids } = await filled(4, 150);
      await world.restart();
      const names = (await world.settle(world.disk.list(DIRECTORY))).filter((name) => name.endsWith('.keys'));
      expect(names.length).toBeGreaterThan(2);
      const bytesOf = async (name: string): Promise<Buffer> => {
        const file = await world.settle(world.disk.open(`${DIRECTORY}/${name}`, 'read'));
        const bytes = Buffer.alloc(await world.settle(file.size()));
        await world.settle(file.read(bytes, 0));
        await world.settle(file.close());
        return bytes;
      };
      const before = await Promise.all(names.map(bytesOf));
      for (const name of names) {
        if (harm === 'missing') await world.settle(world.disk.remove(`${DIRECTORY}/${name}`));
        else if (harm === 'damaged') {
          const file = await world.settle(world.disk.open(`${DIRECTORY}/${name}`, 'write'));
          await world.settle(file.write([Buffer.alloc(16, 0x55)], 60, true));
          await world.settle(file.close());
        } else if (name !== names[0]) {
          const file = await world.settle(world.disk.open(`${DIRECTORY}/${name}`, 'write'));
          await world.settle(file.write([before[0]!], 0, true));
          await world.settle(file.truncate(before[0]!.length));
          await world.settle(file.close());
        }
      }
      for (const messageId of [ids[0]!, ids[70]!, ids[149]!]) {
        expect((await world.find({ messageId })).map((one) => one.messageId)).toEqual([messageId]);
      }
      expect(await world.find({ topic: TOPIC, key: 'all' })).toHaveLength(150);
      expect(await Promise.all(names.map(bytesOf))).toEqual(before);
    },
  );

  test('that waits for its time is shown as waiting, and in its queue when it has come', async () => {
    const world = new World(5);
    await world.begin('mixed');
    const now = (await world.find({ topic: TOPIC, messageId: await world.send() }))[0]!.storedAtMs;
    const deliverAtMs = 10 * Math.ceil((now + 20_000) / 10);
    const messageId = await world.send({ deliverAtMs });
    const before = await world.find({ messageId });
    expect(before).toMatchObject([{ standing: 'waiting', queueOffset: -1, deliverAtMs }]);
    await world.scheduler.runFor(25_000);
    expect(await world.find({ messageId })).toMatchObject([{ standing: 'queued' }]);
    expect((await world.find({ messageId, withPast: true })).map(({ standing }) => standing)).toEqual([
      'queued',
      'past',
    ]);
  });

  test('of a topic that was deleted is not shown any more', async () => {
    const { world, ids } = await filled(6, 10);
    await world.settle(world.broker.deleteTopic(TOPIC));
    expect(await world.find({ messageId: ids[3]! })).toEqual([]);
  });
});

describe('the trace of a message', () => {
  test('tells each delivery with client and attempt, and how it ended, for every group', async () => {
    const world = new World(11);
    await world.begin('normal', ['readers', 'others'], 5);
    const messageId = await world.send();
    const [place] = await world.find({ messageId });
    expect((await world.trace(place!)).groups).toEqual([]);

    await world.pop('readers', 'client-1');
    await world.scheduler.runFor(100);
    const held = await world.trace(place!);
    expect(held.groups).toMatchObject([{ group: 'readers', standing: 'held', attempt: 1 }]);
    const [delivery] = held.events;
    expect(delivery).toMatchObject({ kind: 'delivered', client: 'client-1', attempt: 1 });
    expect(delivery!.untilMs - delivery!.atMs).toBe(10_000);
    expect(delivery!.atMs - place!.storedAtMs).toBeLessThan(1_000);

    await world.scheduler.runFor(11_000);
    await world.ack(await world.pop('readers', 'client-2', true));
    await world.pop('others', 'client-3');
    await world.scheduler.runFor(100);
    await world.restart();
    const { groups, events } = await world.trace(place!);
    expect(groups).toMatchObject([
      { group: 'readers', standing: 'settled' },
      { group: 'others', standing: 'held' },
    ]);
    expect(events.map(({ group, kind, client, attempt }) => [group, kind, client, attempt])).toEqual([
      ['readers', 'delivered', 'client-1', 1],
      ['readers', 'delivered', 'client-2', 2],
      ['readers', 'acknowledged', 'client-2', 2],
      ['others', 'delivered', 'client-3', 1],
    ]);
  });

  test('tells of a message that the filter passed over, and of one that a reset brought back or skipped', async () => {
    const world = new World(12);
    await world.begin();
    const [red, blue] = [await world.send({ tag: 'red' }), await world.send({ tag: 'blue' })];
    const command = { topic: TOPIC, group: 'readers', clientId: 'c', maxMessages: 32, maxBytes: 1e6, waitMs: 1_000 };
    const { result } = world.broker.pop({
      ...{ ...command, filter: { tags: ['red'] }, invisibleMs: 10_000, autoRenew: false, attemptId: '' },
    });
    await world.ack((await world.settle(result)).value!);
    const [redPlace, bluePlace] = [
      (await world.find({ messageId: red }))[0]!,
      (await world.find({ messageId: blue }))[0]!,
    ];
    expect(kindsOf(await world.trace(redPlace))).toEqual(['delivered', 'acknowledged']);
    expect(kindsOf(await world.trace(bluePlace))).toEqual(['passed over']);
    const reset = { group: 'readers', topic: TOPIC, to: { kind: 'earliest', value: 0 }, dryRun: false } as const;
    await world.settle(world.broker.resetGroup(reset));
    const again = await world.trace(redPlace);
    expect(again.groups).toMatchObject([{ standing: 'waiting', ahead: 0 }]);
    expect(kindsOf(again)).toEqual(['delivered', 'acknowledged', 'reset']);
  });

  test('goes on page by page, as if it had been read in one piece', async () => {
    const { world, ids } = await filled(13, 60);
    await world.pop();
    await world.scheduler.runFor(11_000);
    await world.pop();
    await world.scheduler.runFor(2 * LIMITS.unhurriedMs);
    const [place] = await world.find({ messageId: ids[0]! });
    const whole = await world.trace(place!);
    const limits = LIMITS as { traceBytes: number };
    const { traceBytes } = limits;
    limits.traceBytes = 1;
    try {
      expect(await world.trace(place!)).toEqual(whole);
    } finally {
      limits.traceBytes = traceBytes;
    }
    expect(kindsOf(whole)).toEqual(['delivered', 'delivered']);
  });

  test('is refused for a message that is not there, and for a page that no broker has written', async () => {
    const { world } = await filled(14, 3);
    const query = { topic: TOPIC, liteTopic: '', queueId: 0, queueOffset: 99, group: '', page: '' };
    expect((await world.settle(world.broker.finding.trace(query))).fault?.error).toBe('MESSAGE_NOT_FOUND');
    for (const page of [
      'x',
      Buffer.from('[1,[2,"x"]]').toString('base64url'),
      Buffer.from('[0]').toString('base64url'),
    ]) {
      const asked = { ...query, queueOffset: 0, page };
      expect((await world.settle(world.broker.finding.trace(asked))).fault?.error).toBe('BAD_REQUEST');
    }
  });
});
