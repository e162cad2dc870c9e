import { expect, test } from '@jest/globals';
import { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import { sampleLag } from './lag-sample.ts';

const WAITING = { lagMs: 7, queueingMs: 5 };

/** One group for each number, which has so many messages of one topic before it. */
function subscriptionsWith(...backlogs: number[]): Subscription[] {
  const state = new BrokerState();
  return backlogs.map((messages, i) => {
    const topic = state.topics.put({ topicId: i + 1, name: `t${i}`, type: 'normal', queues: 1, createdAtMs: 1 });
    topic.nextOffsets[0] = messages;
    const policy = { fifo: false, fromEarliest: true, maxAttempts: 3, backoffMs: [1_000] };
    state.groups.put({ groupId: i + 1, name: `g${i}`, consume: 'shared', ...policy, createdAtMs: 1 }, 0);
    return state.subscribe({ groupId: i + 1, topicId: i + 1, startOffsets: [0] })!;
  });
}

const eachAlone = (subscriptions: readonly Subscription[]) => subscriptions.map((each) => [each]);

test('every subscription is counted, and looked up in the log are those with the largest backlog only', async () => {
  const looked: string[] = [];
  const insight = {
    async waiting({ group }: Subscription) {
      looked.push(group.name);
      return WAITING;
    },
  };
  const samples = await sampleLag(eachAlone(subscriptionsWith(3, 0, 9, 1, 5)), insight, { looks: 2, series: 9 });
  expect(samples.map(({ group, readyMessages, waiting }) => [group, readyMessages, waiting])).toEqual([
    ['g2', 9, WAITING],
    ['g4', 5, WAITING],
    ['g0', 3, undefined],
    ['g3', 1, undefined],
    ['g1', 0, { lagMs: 0, queueingMs: 0 }],
  ]);
  expect(looked).toEqual(['g2', 'g4']);
});

test('what metrics have no series for is one sum', async () => {
  const insight = { waiting: async () => WAITING };
  const samples = await sampleLag(eachAlone(subscriptionsWith(3, 0, 9, 1, 5)), insight, { looks: 2, series: 3 });
  expect(samples.map(({ group, readyMessages }) => [group, readyMessages])).toEqual([
    ['g2', 9],
    ['g4', 5],
    ['g0', 3],
    ['_other', 1],
  ]);
});

test('messages that are handed out are told from those that wait', async () => {
  const [subscription] = subscriptionsWith(4);
  const taken = [{ queueId: 0, queueOffset: 0, attempt: 1, lane: 0 }];
  const parked = [{ queueId: 0, queueOffset: 1, lane: 5 }];
  const pop = { groupId: 1, topicId: 1, popId: 1, visibleAtMs: 9, renewedBy: '', dropped: [], taken, parked };
  subscription!.applyPop({ ...pop, advances: [{ queueId: 0, nextOffset: 2 }] }, 1);
  const [sample] = await sampleLag([[subscription!]], { waiting: async () => WAITING });
  expect(sample).toMatchObject({ readyMessages: 3, inFlightMessages: 1 });
});

test('what the members of a broadcasting group have before them is one sample, with the longest wait', async () => {
  const [first, second, other] = subscriptionsWith(4, 6, 5);
  const waits = new Map([
    [first!, { lagMs: 7, queueingMs: 2 }],
    [second!, { lagMs: 3, queueingMs: 5 }],
    [other!, WAITING],
  ]);
  const insight = { waiting: async (of: Subscription) => waits.get(of)! };
  const samples = await sampleLag([[first!, second!], [other!]], insight, { looks: 2, series: 9 });
  expect(samples[0]).toMatchObject({ group: 'g0', readyMessages: 10, waiting: { lagMs: 7, queueingMs: 5 } });
  expect(samples[1]).toMatchObject({ group: 'g2', readyMessages: 5, waiting: undefined });
});
