// Mistakes that a programmer could make about delayed messages around their time, each put into the running program by
// replacing one of its parts. A simulation that does not find them proves nothing about a broker without them.
import { DelayedCopies } from '@fulmar/broker/serve/delayed-copies.ts';
import { Delaying } from '@fulmar/broker/serve/delaying.ts';
import { Upcoming } from '@fulmar/broker/serve/upcoming.ts';
import { DelayedMessages } from '@fulmar/broker/state/delayed-messages.ts';
import { replaced } from './replaced.ts';

/** Each puts the mistake in, for good. */
export const FIRING_MISTAKES: Readonly<Record<string, () => void>> = {
  'a message that was read ahead fires although it was recalled meanwhile': () => {
    replaced(Delaying.prototype, 'stillWaits', () => true);
    // Nor does the state ask whether it waits.
    replaced(DelayedMessages.prototype, 'remove', (_table, remove, id) => {
      remove(id);
      return true;
    });
  },

  'a message that is just being written into its queue can be recalled': () =>
    replaced(Delaying.prototype, 'isFiring', () => false),

  'a message fires when it has been read ahead, not when it is due': () =>
    replaced(Upcoming.prototype, 'takeDue', (_upcoming, takeDue, nowMs) => takeDue((nowMs as number) + 1_000)),

  'of messages that were read together only the first fires': () => {
    const { take } = DelayedCopies.prototype;
    replaced(DelayedCopies.prototype, 'take', (copies, original) => {
      const first = original();
      while (!(copies as DelayedCopies).isEmpty) take.call(copies as DelayedCopies);
      return first;
    });
  },

  'some that fall due are noticed a second later': () =>
    replaced(Upcoming.prototype, 'nextMs', (_upcoming, nextMs) => {
      const first = nextMs() as number | undefined;
      return first === undefined || first % 7 > 0 ? first : first + 1_000;
    }),
};
