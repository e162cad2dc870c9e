// Mistakes that a programmer could make about who consumes what, each put into the running program by replacing one of
// its parts. A simulation that does not find them proves nothing about a broker without them.
import { Committer } from '@fulmar/broker/committer.ts';
import { Members } from '@fulmar/broker/serve/members.ts';
import { Ownership } from '@fulmar/broker/serve/ownership.ts';
import { Groups } from '@fulmar/broker/state/groups.ts';
import { MEMBERSHIP_SECTION } from '@fulmar/broker/state/membership-section.ts';
import { success } from '@fulmar/core/errors.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { QUEUES } from './membership-world.ts';

function replace<T extends object, K extends keyof T>(target: T, key: K, value: T[K]): void {
  Object.defineProperty(target, key, { ...Object.getOwnPropertyDescriptor(target, key), value });
}

const { append } = Committer.prototype;
const { putMember } = Groups.prototype;
const { planFor, queuesOf } = Ownership.prototype;

/** Each puts the mistake in, for good. */
export const MEMBERSHIP_MISTAKES: Readonly<Record<string, () => void>> = {
  'every consumer is handed messages of every queue': () =>
    replace(Ownership.prototype, 'queuesOf', () => new Set(Array.from({ length: QUEUES }, (_, queueId) => queueId))),

  'a queue is handed out as soon as it shall move': () =>
    replace(Ownership.prototype, 'queuesOf', function (this: Ownership, clientId) {
      return new Set([...queuesOf.call(this, clientId), ...planFor.call(this, clientId)]);
    }),

  'what the former owner holds is not taken away': () =>
    replace(Committer.prototype, 'append', function (this: Committer, record, bytes, write, done) {
      const isTakenAway =
        record.type === RECORD_TYPE.changeInvisible &&
        record.payload.leases.every(({ visibleAtMs }) => visibleAtMs <= this.nowMs());
      return isTakenAway ? undefined : append.call(this, record, bytes, write as never, done);
    } as Committer['append']),

  'a member begins where the log begins': () =>
    replace(Groups.prototype, 'putMember', function (this: Groups, record) {
      return putMember.call(this, record, 0);
    }),

  'the members share one place': () => replace(Members.prototype, 'ensure', async (group) => success(group)),

  'the places of members are lost in a snapshot': () => replace(MEMBERSHIP_SECTION, 'write', () => []),
};
