// Redriving dead letters, against a broker on a simulated disk: a redriven message comes to its group once more and to
// nobody else, in its place in the line, and not twice, whatever is restarted or asked for again meanwhile.
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { idsOf, kindsOf, outcomesOf, REDRIVE, TOPIC, World } from './finding-world.ts';

describe('dead letters', () => {
  test('say why and after how many attempts they became such, and where the message lies', async () => {
    const world = new World(21);
    await world.begin();
    const [tried, given] = [await world.send(), await world.send()];
    const popped = await world.pop();
    await world.scheduler.runFor(100);
    const handle = popped.find(({ body }) => Buffer.from(body).toString() === given)!.receiptHandle;
    const command = { group: 'readers', topic: TOPIC, receiptHandle: handle, messageId: given, clientId: 'reader' };
    await world.settle(world.broker.deadLetter(command));
    await world.scheduler.runFor(11_000);
    await world.fail();
    const letters = await world.letters();
    expect(letters.map(({ messageId, letter }) => [messageId, letter!.reason, letter!.attempts])).toEqual([
      [given, 'client', 1],
      [tried, 'attempts', 2],
    ]);
    for (const { messageId, letter } of letters) {
      const [original] = await world.find({ messageId, topic: TOPIC });
      expect(letter).toMatchObject({
        ...{ group: 'readers', topic: TOPIC, queueId: original!.queueId, queueOffset: original!.queueOffset },
        ...{ firstStoredAtMs: original!.storedAtMs, redriven: false },
      });
      expect(kindsOf(await world.trace(original!)).at(-1)).toBe('dead letter');
    }
  });

  test('are made of a message that is given up before its delivery is written, when that is repeated', async () => {
    const world = new World(20);
    await world.begin();
    const id = await world.send();
    const [popped] = await world.pop();
    const command = {
      group: 'readers',
      topic: TOPIC,
      receiptHandle: popped!.receiptHandle,
      messageId: id,
      clientId: '',
    };
    expect(await world.settle(world.broker.deadLetter(command))).toMatchObject({ error: 'TOO_MANY_REQUESTS' });
    await world.scheduler.runFor(100);
    expect(await world.settle(world.broker.deadLetter(command))).toBeUndefined();
    expect((await world.letters()).map(({ messageId, letter }) => [messageId, letter!.reason])).toEqual([
      [id, 'client'],
    ]);
  });

  test('come to their own group once more when they are redriven, and to no other group', async () => {
    const world = new World(22);
    await world.begin('normal', ['readers', 'others']);
    const ids = [await world.send(), await world.send(), await world.send()];
    await world.ack(await world.pop('others'), 'others');
    await world.fail();
    expect(outcomesOf(await world.redrive({ dryRun: true }))).toEqual(['redriven', 'redriven', 'redriven']);
    expect(await world.pop()).toEqual([]);
    expect(outcomesOf(await world.redrive())).toEqual(['redriven', 'redriven', 'redriven']);
    await world.restart();
    const again = await world.pop();
    expect(idsOf(again).sort()).toEqual(ids);
    expect(again.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect(await world.ack(again)).toEqual([undefined, undefined, undefined]);
    expect(await world.pop('others')).toEqual([]);
    expect((await world.letters()).map(({ letter }) => letter!.redriven)).toEqual([true, true, true]);
    const [place] = await world.find({ messageId: ids[0]!, topic: TOPIC });
    expect(kindsOf(await world.trace(place!))).toEqual([
      ...['delivered', 'delivered', 'dead letter', 'redriven', 'delivered', 'acknowledged'],
    ]);
  });

  test('are not redriven twice unless that is asked for, also after a restart', async () => {
    const world = new World(23);
    await world.begin();
    await world.send();
    await world.fail();
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
    expect(outcomesOf(await world.redrive())).toEqual(['open']);
    await world.ack(await world.pop());
    for (let i = 0; i < 60; i++) await world.send();
    await world.restart();
    expect(outcomesOf(await world.redrive())).toEqual(['already']);
    expect(outcomesOf(await world.redrive({ again: true }))).toEqual(['redriven']);
    const popped = await world.pop();
    expect(idsOf(popped)).toContain('letter-0');
  });

  test('that are asked for twice at once are redriven once', async () => {
    const world = new World(24);
    await world.begin();
    await world.send();
    await world.fail();
    const command = { group: 'readers', ...REDRIVE, page: 0 };
    const both = [world.broker.finding.redrive(command), world.broker.finding.redrive(command)];
    const answers = await world.settle(Promise.all(both));
    expect(answers.flatMap(({ value }) => outcomesOf(value!.letters))).toEqual(['redriven', 'open']);
    expect(await world.pop()).toHaveLength(1);
    expect(await world.pop()).toEqual([]);
  });

  test('of a message that fails again are new ones, which can be redriven in their turn', async () => {
    const world = new World(25);
    await world.begin();
    await world.send();
    await world.fail();
    await world.redrive();
    await world.fail();
    expect((await world.letters()).map(({ letter }) => letter!.redriven)).toEqual([true, false]);
    expect(outcomesOf(await world.redrive())).toEqual(['already', 'redriven']);
    expect(await world.pop()).toHaveLength(1);
  });

  test('are redriven by message and by time', async () => {
    const world = new World(26);
    await world.begin();
    const ids = [];
    for (let i = 0; i < 3; i++) {
      ids.push(await world.send());
      await world.fail();
    }
    const letters = await world.letters();
    expect(outcomesOf(await world.redrive({ messageId: ids[1]! }))).toEqual(['redriven']);
    expect(idsOf(await world.pop())).toEqual([ids[1]]);
    const results = await world.redrive({ fromMs: letters[2]!.storedAtMs });
    expect(results.map(({ messageId, outcome }) => [messageId, outcome])).toEqual([[ids[2], 'redriven']]);
    const early = await world.redrive({ toMs: letters[1]!.storedAtMs });
    expect(early.map(({ messageId }) => messageId)).toEqual([ids[0]]);
  });

  test('a handle from before does not acknowledge a redriven message', async () => {
    const world = new World(27);
    await world.begin('normal', ['readers'], 1);
    await world.send();
    const old = await world.pop();
    await world.scheduler.runFor(11_000);
    await world.pop();
    await world.redrive();
    expect(await world.ack(old)).toEqual(['INVALID_RECEIPT_HANDLE']);
    expect(await world.pop()).toHaveLength(1);
  });

  test('of a deleted topic, or of a group that was made anew, are gone and stay untouched', async () => {
    const world = new World(28);
    await world.begin('normal', ['readers', 'others']);
    await world.send();
    await world.fail('readers');
    await world.fail('others');
    await world.settle(world.broker.deleteGroup('others'));
    const settings = { fifo: false, maxAttempts: 2, backoffMs: [1_000], consume: 'shared', from: 'latest' } as const;
    await world.settle(world.broker.putGroup({ name: 'others', ...settings }));
    expect(await world.redrive({ group: 'others' })).toEqual([]);
    await world.settle(world.broker.deleteTopic(TOPIC));
    expect(outcomesOf(await world.redrive())).toEqual(['gone']);
  });
});

describe('a redriven message of a FIFO topic', () => {
  /** Three in one line; the first is dead, the second is in the hands of a consumer when the first is redriven. */
  async function line(seed: number): Promise<{ world: World; held: readonly PoppedMessage[] }> {
    const world = new World(seed);
    await world.begin('fifo', ['readers'], 1);
    for (let i = 0; i < 3; i++) await world.send({ messageGroup: 'line' });
    await world.pop();
    await world.scheduler.runFor(11_000);
    const held = await world.pop();
    expect(idsOf(held)).toEqual(['letter-1']);
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
    expect(await world.pop()).toEqual([]);
    return { world, held };
  }

  test.each([false, true])(
    'waits for the one that is being worked on, and comes before the next: restart %p',
    async (isRestarted) => {
      const { world, held } = await line(31);
      if (isRestarted) {
        for (let i = 0; i < 50; i++)
          await world.settle(
            world.broker.putGroup({
              name: `g${i}`,
              fifo: false,
              maxAttempts: 1,
              backoffMs: [1],
              consume: 'shared',
              from: 'latest',
            }),
          );
        await world.restart();
      }
      expect(await world.ack(held)).toEqual([undefined]);
      const order: string[] = [];
      for (let i = 0; i < 2; i++) {
        const next = await world.pop();
        order.push(...idsOf(next));
        await world.ack(next);
      }
      expect(order).toEqual(['letter-0', 'letter-2']);
    },
  );

  test('comes before the next one, and not together with it, when that was about to be handed out', async () => {
    const world = new World(33);
    await world.begin('fifo', ['readers'], 1);
    for (let i = 0; i < 3; i++) await world.send({ messageGroup: 'line' });
    await world.pop();
    await world.scheduler.runFor(11_000);
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
    for (const id of ['letter-0', 'letter-1', 'letter-2']) {
      const popped = await world.pop();
      expect(idsOf(popped)).toEqual([id]);
      await world.ack(popped);
    }
  });

  test('does not have to wait longer than the lease of the one before it', async () => {
    const { world } = await line(32);
    await world.scheduler.runFor(10_000);
    expect(idsOf(await world.pop())).toEqual(['letter-0']);
  });
});

function replaced<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): () => void {
  const original = Object.getOwnPropertyDescriptor(target, key)!;
  Object.defineProperty(target, key, { ...original, value });
  return () => Object.defineProperty(target, key, original);
}

describe('these stories would be seen to go wrong', () => {
  let takeOut = (): void => {};
  afterEach(() => takeOut());

  test('if a redriven message did not wait for the one of its line that is in work', async () => {
    const { reopen } = Subscription.prototype;
    takeOut = replaced(Subscription.prototype, 'reopen', function (this: Subscription, queueId, offset, _lane, now) {
      reopen.call(this, queueId, offset, 0, now);
    });
    const world = new World(31);
    await world.begin('fifo', ['readers'], 1);
    for (let i = 0; i < 3; i++) await world.send({ messageGroup: 'line' });
    await world.pop();
    await world.scheduler.runFor(11_000);
    await world.pop();
    await world.redrive();
    expect(idsOf(await world.pop())).toEqual(['letter-0']);
  });

  test('if the marks of letters were not in the state', async () => {
    const { redrivenIn } = BrokerState.prototype;
    takeOut = replaced(BrokerState.prototype, 'redrivenIn', function (this: BrokerState, topicId) {
      const marks = redrivenIn.call(this, topicId);
      marks.add = () => {};
      return marks;
    });
    const world = new World(23);
    await world.begin();
    await world.send();
    await world.fail();
    await world.redrive();
    await world.ack(await world.pop());
    expect(outcomesOf(await world.redrive())).toEqual(['redriven']);
  });
});
