// The judge of simulated clusters allows what may have been lost on the way, and no more: a checker that allows
// everything finds nothing.
import { expect, test } from '@jest/globals';
import { ClusterChecker, type ClusterMessage } from './cluster-checker.ts';

const GROUP = { name: 'group', fifo: false, maxAttempts: 2 };

function messageOf(id: string, order: number): ClusterMessage {
  const places = new Map<string, string>();
  return {
    ...{ id, topic: 'topic', key: 'key', order, body: id, isStored: false, answeredAtMs: 0 },
    ...{ places, foundAtMs: 0, offsets: new Set<number>(), deliverAtMs: 0, recalled: 'no' },
  };
}

/** Two messages of one message group, the first delivered once; then a receive that got something of another set. */
function story() {
  const checker = new ClusterChecker({
    ...{ groups: [GROUP], sets: 2, isSteady: true, keepsAll: true, isLossy: false },
  });
  const messages = [messageOf('first', 0), messageOf('second', 1)];
  for (const [offset, message] of messages.entries()) {
    checker.sending(message);
    checker.sendAnswered(message, offset, 0);
  }
  const deliver = (id: string, offset: number, nowMs: number) => {
    const upheavals = checker.receiving();
    checker.received(true, nowMs - 100, nowMs);
    const place = { group: 'group', id, body: id, set: 'one', queueId: 0, offset, attempt: 1 };
    checker.delivered({ ...place, askedAtMs: nowMs - 100, upheavals, nowMs, wallMs: nowMs, invisibleMs: 1_000 });
  };
  deliver('first', 0, 1_000);
  checker.receiving();
  checker.received(true, 3_000, 3_500);
  return { checker, deliverNext: () => deliver('second', 1, 9_000) };
}

test('a message whose last attempt may have been lost on its way holds up its message group no more', () => {
  const { checker, deliverNext } = story();
  checker.disturbed(4_000);
  expect(deliverNext).not.toThrow();
});

test.each([
  ['nothing was lost', undefined],
  ['something was lost long after everything had arrived', 6_000],
])('a message group goes on too early when %s', (_when, disturbedAtMs) => {
  const { checker, deliverNext } = story();
  if (disturbedAtMs !== undefined) checker.disturbed(disturbedAtMs);
  expect(deliverNext).toThrow('before first, which came first');
});
