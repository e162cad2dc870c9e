// Mistakes that a programmer could make in replication, each put into the running program by replacing one of its
// parts. A simulation that does not find them proves nothing about replication without them.

import { Feed, type FeedOwner } from '@fulmar/broker/replication/feed.ts';
import { Follower } from '@fulmar/broker/replication/follower.ts';
import { type KnownFollower, Leadership } from '@fulmar/broker/replication/leadership.ts';
import type { FetchRequest } from '@fulmar/broker/replication/messages.ts';
import { Replica } from '@fulmar/broker/replication/replica.ts';
import { type SetContent, SetRegistry } from '@fulmar/broker/replication/set-registry.ts';
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { CoordinationStore } from './coordination-store.ts';
import { LogStore, MemoryLog } from './replication-log.ts';

/** Puts the mistake in and returns what takes it out again. */
export type PlantedMistake = () => () => void;

/** Replaces a method, private ones too; the replacement gets the object and the method that was there. */
function replaced<T extends object, A extends unknown[], R>(
  target: T,
  key: string,
  method: (self: T, original: (...args: A) => R, ...args: A) => R,
): () => void {
  const original = Object.getOwnPropertyDescriptor(target, key);
  if (typeof original?.value !== 'function') throw new Error(`there is no method ${key} to make a mistake in`);
  const value = function (this: T, ...args: A): R {
    return method(this, (...others) => original.value.apply(this, others), ...args);
  };
  Object.defineProperty(target, key, { ...original, value });
  return () => Object.defineProperty(target, key, original);
}

/** A field that only the class itself should know. */
function inside<V>(object: object, key: string): V {
  return Reflect.get(object, key);
}

function both(...plants: readonly (() => void)[]): () => void {
  return () => {
    for (const takeOut of plants) takeOut();
  };
}

const stillStored = (leadership: Leadership, uid: string) => leadership.followers.get(uid)?.stored ?? 0;

/** What is committable by the rule, were it not for one of its conditions. */
function leastStored(leadership: Leadership, needed: Iterable<string>, own: number): number {
  let position = own;
  for (const uid of needed) if (uid !== leadership.me) position = Math.min(position, stillStored(leadership, uid));
  return position;
}

export const REPLICATION_MISTAKES: Readonly<Record<string, PlantedMistake>> = {
  'a commit does not wait for the set that is proposed': () =>
    replaced(Leadership.prototype, 'needed', (self) => new Set(self.inSync)),

  'a commit waits only for the set that is proposed': () =>
    replaced(Leadership.prototype, 'needed', (self) => new Set(self.pendingInSync ?? self.inSync)),

  'a commit does not wait for members that are not connected': () =>
    replaced(
      Leadership.prototype,
      'needed',
      (self) => new Set(self.inSync.filter((uid) => self.followers.get(uid)?.connected === true)),
    ),

  'a commit happens with fewer copies than the minimum': () =>
    replaced(Leadership.prototype, 'committable', (self, _original: unknown, own: number) => {
      const position = leastStored(self, self.needed(), own);
      return position >= self.startEnd ? position : 0;
    }),

  'a commit leaves out the start of its own epoch': () =>
    replaced(Leadership.prototype, 'committable', (self, _original: unknown, own: number) =>
      self.inSync.length < self.minInSync ? 0 : leastStored(self, self.needed(), own),
    ),

  'a follower acknowledges what is written and not flushed': () =>
    replaced(Follower.prototype, 'stored', (self) => {
      const { log } = inside<{ readonly log: MemoryLog }>(self, 'parts');
      return log.writtenPosition;
    }),

  'a leader counts what it has written and not flushed': () =>
    replaced(Replica.prototype, 'stored', (self) => {
      const { log } = inside<{ readonly log: MemoryLog }>(self, 'options');
      return log.writtenPosition;
    }),

  'a replica outside of the in-sync set takes over': () => {
    const withMe = (self: SetRegistry, observed: Observed): Observed => {
      const [me] = inside<string>(self, 'writerName').split(':') as [string];
      const inSync = [...new Set([...observed.record.inSync, me])];
      return { ...observed, record: { ...observed.record, inSync } };
    };
    return both(
      replaced(SetRegistry.prototype, 'note', (self, original: (observed: Observed) => boolean, observed: Observed) =>
        original(withMe(self, observed)),
      ),
      replaced(SetRegistry.prototype, 'read', async (self, original: () => Promise<Observed | undefined>) => {
        const observed = await original();
        return observed === undefined ? undefined : withMe(self, observed);
      }),
    );
  },

  'a replica that is behind joins the in-sync set': () =>
    replaced(
      Leadership.prototype,
      'mayJoin',
      (self, _original: unknown, uid: string, _commit: number, _end: number, nowMs: number) => self.isHeard(uid, nowMs),
    ),

  'the in-sync set falls below its minimum': () =>
    replaced(
      Leadership.prototype,
      'nextInSync',
      (self, original: (...args: number[]) => readonly string[] | undefined, ...args: number[]) => {
        const next = original(...args);
        if (next !== undefined || self.pendingInSync !== undefined) return next;
        const dropped = self.inSync.find((uid) => uid !== self.me && self.mustLeave(uid, args[2]!));
        return dropped === undefined ? undefined : self.inSync.filter((uid) => uid !== dropped);
      },
    ),

  'a leader that was restarted goes on with its epoch': () =>
    both(
      replaced(
        SetRegistry.prototype,
        'swap',
        (
          _self,
          original: (base: Observed | undefined, content: SetContent, interested: () => boolean) => Promise<unknown>,
          base: Observed | undefined,
          content: SetContent,
          interested: () => boolean,
        ) => {
          const again = base !== undefined && content.leader === base.record.leader && content.leader !== '';
          return original(base, again ? { ...content, epoch: base.record.epoch } : content, interested);
        },
      ),
      replaced(
        Replica.prototype,
        'lead',
        (_self, original: (record: SetRecord, reason: string) => Promise<void>, record: SetRecord, reason: string) =>
          original(reason.includes('restarted') ? { ...record, epoch: record.epoch - 1 } : record, reason),
      ),
    ),

  'a lost disk comes back under its old identity': () =>
    replaced(LogStore.prototype, 'doubt', (_self, original: (why: string) => void, why: string) => {
      if (why !== 'disk lost') original(why);
    }),

  'a power cut under the asynchronous policy keeps the identity': () =>
    replaced(LogStore.prototype, 'doubt', (_self, original: (why: string) => void, why: string) => {
      if (why !== 'power cut') original(why);
    }),

  'an older epoch is followed': () => {
    const accepted = Object.getOwnPropertyDescriptor(MemoryLog.prototype, 'acceptedEpoch')!;
    Object.defineProperty(MemoryLog.prototype, 'acceptedEpoch', { ...accepted, get: () => 0 });
    return both(
      () => Object.defineProperty(MemoryLog.prototype, 'acceptedEpoch', accepted),
      replaced(SetRegistry.prototype, 'note', (self, _original: unknown, observed: Observed) => {
        self.latest = observed;
        return true;
      }),
    );
  },

  'an epoch is followed before it is durably accepted': () =>
    replaced(
      MemoryLog.prototype,
      'acceptEpoch',
      async (_self, original: (epoch: number) => Promise<void>, epoch: number) => {
        void original(epoch);
      },
    ),

  'a log is cut where it is known to be committed, not where it parts': () =>
    replaced(MemoryLog.prototype, 'truncate', (self, original: (position: number) => Promise<void>, position: number) =>
      original(Math.min(position, Math.max(inside<number>(self, 'noted'), self.commitHint))),
    ),

  'an answer to an older question cuts the log': () => replaced(Follower.prototype, 'isAnswer', () => true),

  'a follower counts before its log was found to be a beginning of the leader’s': () =>
    replaced(Feed.prototype, 'answer', (self, original: (request: FetchRequest) => void, request: FetchRequest) => {
      const owner = inside<FeedOwner>(self, 'owner');
      if (request.epoch === owner.epoch) {
        self.storeUid = request.storeUid;
        owner.matched(self, { ...request, stored: Math.min(request.stored, owner.log.endPosition) });
      }
      original(request);
    }),

  'the coordination store does not compare before it swaps': () =>
    replaced(
      CoordinationStore.prototype,
      'swap',
      (self, original: (record: SetRecord, expected: string | undefined) => string | undefined, record: SetRecord) =>
        original(record, self.current?.version),
    ),

  'a write of the record whose answer was lost counts as refused': () =>
    replaced(
      SetRegistry.prototype,
      'writeUntilKnown',
      async (self, _original: unknown, base: Observed | undefined, record: SetRecord) => {
        const coordination = inside<Coordination>(self, 'coordination');
        const version = await coordination.write(record, base?.version).catch(() => undefined);
        if (version === undefined) return false;
        inside<(observed: Observed) => void>(self, 'note').call(self, { record, version });
        return true;
      },
    ),

  'a follower believes what the leader committed before it has it': () =>
    replaced(Replica.prototype, 'followCommit', (self) => {
      inside<(position: number) => void>(self, 'committed').call(self, inside<number>(self, 'leaderCommit'));
    }),

  'a leader that was deposed takes no notice': () => replaced(Replica.prototype, 'deposed', () => {}),

  'what a follower of the same name stored counts for its new copy': () =>
    replaced(
      Leadership.prototype,
      'matched',
      (
        self,
        original: (request: FetchRequest, uid: string, end: number, nowMs: number) => void,
        request: FetchRequest,
        uid: string,
        end: number,
        nowMs: number,
      ) => {
        const sameName = (known: KnownFollower) => known.replica === request.replica;
        const stored = Math.max(0, ...[...self.followers.values()].filter(sameName).map((known) => known.stored));
        original({ ...request, stored: Math.max(request.stored, stored) }, uid, end, nowMs);
      },
    ),
};
