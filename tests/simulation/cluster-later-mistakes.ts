// Mistakes about the redrive of dead letters, which only stories of the largest seeds can find: those with the later
// habits.
import { Redriving } from '@fulmar/broker/serve/redriving.ts';
import { REDRIVEN_SECTION } from '@fulmar/broker/state/redriven-section.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import type { Subscription } from '@fulmar/broker/state/subscription.ts';
import type { RedriveCommand } from '@fulmar/core/finding-api.ts';
import { replaced } from './replaced.ts';

export const LATER_MISTAKES: Readonly<Record<string, () => unknown>> = {
  'which letters were redriven is lost in a snapshot': () => replaced(REDRIVEN_SECTION, 'write', () => []),

  'a letter is redriven each time that is asked for': () =>
    replaced(Redriving.prototype, 'redrive', (_self, original, command) =>
      original({ ...(command as RedriveCommand), again: true }),
    ),

  'only to say what would be redriven redrives it': () =>
    replaced(Redriving.prototype, 'redrive', (_self, original, command) =>
      original({ ...(command as RedriveCommand), dryRun: false }),
    ),

  'a redriven message comes to every group of its topic': () =>
    replaced(BrokerState.prototype, 'withSubscription', (self, original, groupId, topicId, change) => {
      const isRedrive = String(change).includes('reopen');
      const groups = isRedrive ? [...(self as BrokerState).groups.byId.keys()] : [groupId];
      for (const each of groups) original(each, topicId, change as (of: Subscription) => void);
    }),
};
