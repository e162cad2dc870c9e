// Mistakes that a programmer could make anywhere in a cluster, each put into the running program by replacing one of
// its parts. A simulation that does not find them proves nothing about a cluster without them.

import { Committer } from '@fulmar/broker/committer.ts';
import { DirectoryTakeOver } from '@fulmar/broker/log/directory-take-over.ts';
import { MetaFile } from '@fulmar/broker/log/meta.ts';
import { BrokerNode } from '@fulmar/broker/node.ts';
import { Leadership } from '@fulmar/broker/replication/leadership.ts';
import { Replica } from '@fulmar/broker/replication/replica.ts';
import { DeadLetters } from '@fulmar/broker/serve/dead-letters.ts';
import { Sending } from '@fulmar/broker/serve/sending.ts';
import { RecentMessageIds } from '@fulmar/broker/state/recent-message-ids.ts';
import { BrokerState } from '@fulmar/broker/state/state.ts';
import { Subscription } from '@fulmar/broker/state/subscription.ts';
import { MasterEpochs } from '@fulmar/core/masters.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';
import { TopicTable } from '@fulmar/nameserver/topic-table.ts';
import { HABIT_MISTAKES } from './cluster-habit-mistakes.ts';
import { LATER_MISTAKES } from './cluster-later-mistakes.ts';
import { CONSUMPTION_MISTAKES } from './consumption-mistakes.ts';
import { SimulatedDisk } from './disk.ts';
import { type Method, replaced } from './replaced.ts';
import { REPLICATION_MISTAKES } from './replication-mistakes.ts';
import { TRANSACTION_MISTAKES } from './transaction-mistakes.ts';

/** What waits for a commit is told at once that it is there. */
function answeredEarly(type: number): void {
  replaced(Committer.prototype, 'append', (_self, original, record, bytes, write, done) => {
    if ((record as { readonly type: number }).type !== type || typeof done !== 'function')
      return original(record, bytes, write, done);
    const end = original(record, bytes, write);
    done(true, undefined);
    return end;
  });
}

const SHARED_REPLICATION = [
  'a commit does not wait for members that are not connected',
  'a replica outside of the in-sync set takes over',
  'a replica that is behind joins the in-sync set',
  'a follower believes what the leader committed before it has it',
  'the coordination store does not compare before it swaps',
] as const;

const SHARED_TRANSACTIONS = [
  'a half message is visible at once',
  'a rollback is carried out as a commit',
  'a committed message gets no place',
  'open transactions are lost in a snapshot',
  'the opposite decision is answered OK',
] as const;

/** Found within so few stories that every run of the tests can afford to look for them. */
export const QUICKLY_FOUND = [
  'the ids of recent messages are lost in a snapshot',
  'every twentieth acknowledgement is forgotten',
  'a follower believes what the leader committed before it has it',
  'the coordination store does not compare before it swaps',
  'an ordered delivery does not wait until it is committed',
  'a commit counts only the leader',
  'a follower applies what is not committed',
  'each replica applies something else',
  'every tenth delivery is forgotten',
  'a broker goes on serving when it is deposed',
  'a leader that was deposed takes no notice',
  'a power cut takes what was synced',
  'every fiftieth message is not indexed',
  'a rollback is carried out as a commit',
  'open transactions are lost in a snapshot',
] as const;

export const CLUSTER_MISTAKES: Readonly<Record<string, () => unknown>> = {
  ...CONSUMPTION_MISTAKES,
  ...HABIT_MISTAKES,
  ...LATER_MISTAKES,
  ...Object.fromEntries(SHARED_REPLICATION.map((name) => [name, REPLICATION_MISTAKES[name]!])),
  ...Object.fromEntries(SHARED_TRANSACTIONS.map((name) => [name, TRANSACTION_MISTAKES[name]!])),

  'a send is answered before it is committed': () => {
    replaced(Sending.prototype, 'write', (self, original, topic, message, settle) => {
      const { nextOffsets } = topic as { readonly nextOffsets: readonly number[] };
      original(topic, message, () => {});
      (settle as Method)({ queueId: 0, queueOffset: nextOffsets[0] });
      return self;
    });
  },

  'an ordered delivery does not wait until it is committed': () => answeredEarly(RECORD_TYPE.pop),

  'a commit counts only the leader': () =>
    replaced(Leadership.prototype, 'needed', (self) => new Set([(self as Leadership).me])),

  'a follower applies what is not committed': () =>
    replaced(BrokerNode.prototype, 'committed', (self, original) => {
      const store: { readonly log: { readonly endPosition: number } } = Reflect.get(self, 'store');
      original(store.log.endPosition);
    }),

  'each replica applies something else': () => {
    const original = Subscription.prototype.applyPop;
    let count = 0;
    replaced(Subscription.prototype, 'applyPop', (self, _original, record, logTimeMs) => {
      const pop = record as Parameters<typeof original>[0];
      const changed = { ...pop, visibleAtMs: pop.visibleAtMs + (++count % 2) };
      return original.call(self as Subscription, changed, logTimeMs as number);
    });
  },

  'every tenth delivery is forgotten': () => {
    let count = 0;
    replaced(Subscription.prototype, 'applyPop', (_self, original, ...values) => {
      if (++count % 10 !== 0) return original(...values);
      return undefined;
    });
  },

  'a broker goes on serving when it is deposed': () => replaced(BrokerNode.prototype, 'retire', () => undefined),

  'a leader that was deposed takes no notice': () => replaced(Replica.prototype, 'deposed', () => undefined),

  // That an older master is preferred costs time only: it is refused by its own set, and soon says so itself.
  'the route stays with the first master that was known': () => {
    const first = new WeakMap<object, Map<string, string>>();
    replaced(MasterEpochs.prototype, 'choose', (self, original, set, entries, nowMs) => {
      const known = first.get(self) ?? new Map<string, string>();
      first.set(self, known);
      const there = [...(entries as Iterable<BrokerEntry>)].filter((entry) => entry.set === set);
      const same = there.find(({ replica }) => replica === known.get(set as string));
      if (same !== undefined) return same;
      const chosen = original(set, there, nowMs) as BrokerEntry | undefined;
      if (chosen !== undefined) known.set(set as string, chosen.replica);
      return chosen;
    });
  },

  'a copy that was replaced keeps its identity': () =>
    replaced(DirectoryTakeOver.prototype, 'finish', (self, original, ...values) => {
      const { found } = self as DirectoryTakeOver;
      if (found !== undefined) Reflect.set(self, 'storeUid', found.storeUid);
      return original(...values);
    }),

  'a power cut takes what was synced': () => {
    replaced(SimulatedDisk.prototype, 'failSometimes', () => undefined);
    replaced(SimulatedDisk.prototype, 'syncDirectory', async () => undefined);
  },

  'every fiftieth message is not indexed': () => {
    let count = 0;
    replaced(BrokerState.prototype, 'apply', (_self, original, record, ...place) => {
      const placed = original(record, ...place);
      const isMessage = (record as { readonly type: number }).type === RECORD_TYPE.message;
      return isMessage && ++count % 50 === 0 ? undefined : placed;
    });
  },

  'an id of another message counts as known': () =>
    replaced(RecentMessageIds.prototype, 'find', (_self, original, key, logTimeMs) =>
      original((key as number) - 1, logTimeMs),
    ),

  'a power cut under the asynchronous policy keeps the identity': () =>
    replaced(MetaFile.prototype, 'save', (self, original, change) => {
      const { found } = self as MetaFile;
      const isStart = (change as { readonly bootId?: string }).bootId !== undefined;
      return original(isStart ? { ...(change as object), storeUid: found.storeUid } : change);
    }),

  'a message is buried an attempt too early': () =>
    replaced(DeadLetters.prototype, 'sweep', (_self, original, subscription, reservations) => {
      const { group } = subscription as Subscription;
      group.maxAttempts--;
      original(subscription, reservations);
      group.maxAttempts++;
    }),

  'a message group moves when its set is not known': () =>
    replaced(TopicTable.prototype, 'route', (_self, original, name) => {
      const route = original(name) as object | undefined;
      return route && { ...route, placement: undefined };
    }),
};
