// Mistakes about batches, filters, resets and lite topics, which only stories with these habits can find: those of
// large seeds.
import { Agreement } from '@fulmar/broker/serve/agreement.ts';
import { Gathering } from '@fulmar/broker/serve/gather.ts';
import { Sending } from '@fulmar/broker/serve/sending.ts';
import type { Lease } from '@fulmar/broker/state/lease.ts';
import { LiteConsumers } from '@fulmar/broker/state/lite-consumers.ts';
import { LITE_SECTION } from '@fulmar/broker/state/lite-section.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import type { SendCommand, SendResult } from '@fulmar/core/broker-api.ts';
import { replaced } from './replaced.ts';

type Answer = Promise<readonly SendResult[]>;

/** How the choice of a message is asked for: queue, entry, whether it is wanted, message, what was chosen before. */
const WANTED = 2;

function judgedAs(judge: (isWanted: boolean) => boolean): void {
  replaced(Gathering.prototype, 'consider', (_self, original, ...values) =>
    original(...values.with(WANTED, judge(values[WANTED] as boolean))),
  );
}

export const HABIT_MISTAKES: Readonly<Record<string, () => unknown>> = {
  'the messages of a request are stored from the last to the first': () =>
    replaced(Sending.prototype, 'send', async (_self, original, command) => {
      const { topic, messages } = command as SendCommand;
      return (await (original({ topic, messages: messages.toReversed() }) as Answer)).toReversed();
    }),

  'the last message of a request is answered as the one before it, and forgotten': () =>
    replaced(Sending.prototype, 'send', async (_self, original, command) => {
      const { topic, messages } = command as SendCommand;
      if (messages.length < 2) return original(command);
      const results = await (original({ topic, messages: messages.slice(0, -1) }) as Answer);
      const last = results.at(-1)!;
      return [...results, last.fault === undefined ? { ...last, queueOffset: last.queueOffset + 1 } : last];
    }),

  'a filter lets everything through': () => judgedAs(() => true),

  'every tenth message that passes a filter is passed over': () => {
    let count = 0;
    judgedAs((isWanted) => isWanted && ++count % 10 !== 0);
  },

  'members of a group may use different filters': () => replaced(Agreement.prototype, 'admit', () => undefined),

  'lite topics are lost in a snapshot': () => replaced(LITE_SECTION, 'write', () => []),

  'what consumers do not read any more they are given all the same': () =>
    replaced(LiteConsumers.prototype, 'apply', (_self, original, record, exclusive) =>
      original({ ...(record as object), removed: [] }, exclusive),
    ),

  'a reset is forgotten': () => replaced(Subscription.prototype, 'applyReset', () => undefined),

  'a reset leaves the leases that there are': () =>
    replaced(Subscription.prototype, 'applyReset', (self, original, ...values) => {
      const { leases, lanes } = self as Subscription;
      const before = new Map<number, Lease>(leases);
      const lanesBefore = new Map(lanes);
      original(...values);
      for (const [key, lease] of before) {
        lease.live = true;
        leases.set(key, lease);
      }
      for (const [lane, waiting] of lanesBefore) lanes.set(lane, waiting);
    }),
};
