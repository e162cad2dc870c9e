// The consumer groups of one broker set: how each is served, and since which place in the log it exists. In a
// broadcasting group every client that has received is a member: a group of the same name and settings that only this
// client reads as, so that whatever holds for a group holds for its place.
import type { ConsumeMode } from '@fulmar/core/broker-api.ts';
import type { LiteBinding } from '@fulmar/core/lite-api.ts';
import { LiteConsumers } from './lite-consumers.ts';
import type { GroupPutRecord } from './records/definitions.ts';
import type { MemberPutRecord } from './records/membership.ts';
import type { Subscription } from './subscription.ts';

export interface Group {
  readonly id: number;
  readonly name: string;
  /** Of a member: whose place this is. Empty for a group that somebody has made. */
  readonly clientId: string;
  fifo: boolean;
  consume: ConsumeMode;
  fromEarliest: boolean;
  maxAttempts: number;
  backoffMs: readonly number[];
  readonly createdAtMs: number;
  /** Log position of the record that made it: it sees every message behind that. */
  readonly createdAtPosition: number;
  /** By topic id. */
  readonly subscriptions: Map<number, Subscription>;
  /** By client id; only of a broadcasting group. */
  readonly members: Map<string, Group>;
  /** Only for a group of lite consumers: its LITE topic, and who reads what in it. */
  readonly lite: (LiteBinding & { readonly consumers: LiteConsumers }) | undefined;
}

type Identity = Pick<Group, 'id' | 'name' | 'clientId' | 'createdAtMs' | 'createdAtPosition'>;
type Settings = Pick<GroupPutRecord, 'fifo' | 'consume' | 'fromEarliest' | 'maxAttempts' | 'backoffMs'>;

const NO_SETTINGS: Settings = { fifo: false, consume: 'shared', fromEarliest: false, maxAttempts: 1, backoffMs: [] };

export class Groups {
  /** With the members. */
  readonly byId = new Map<number, Group>();
  readonly byName = new Map<string, Group>();
  nextId = 1;

  get members(): number {
    return this.byId.size - this.byName.size;
  }

  put(record: GroupPutRecord, position: number): Group {
    let group = this.byId.get(record.groupId);
    if (group === undefined) {
      const { groupId: id, name, createdAtMs, lite } = record;
      group = this.add({ id, name, clientId: '', createdAtMs, createdAtPosition: position }, lite);
      this.byName.set(name, group);
    }
    set(group, record);
    for (const member of group.members.values()) set(member, record);
    return group;
  }

  /** Undefined if the group is not there any more. */
  putMember({ memberId: id, groupId, clientId, createdAtMs }: MemberPutRecord, position: number): Group | undefined {
    const group = this.byId.get(groupId);
    if (group === undefined) return undefined;
    const known = group.members.get(clientId);
    if (known !== undefined) return known;
    const member = this.add({ id, name: group.name, clientId, createdAtMs, createdAtPosition: position });
    set(member, group);
    group.members.set(clientId, member);
    return member;
  }

  /** Removes a group, but not its members, or a member. */
  remove(id: number): Group | undefined {
    const group = this.byId.get(id);
    if (group === undefined) return undefined;
    this.byId.delete(id);
    if (group.clientId === '') this.byName.delete(group.name);
    else this.byName.get(group.name)?.members.delete(group.clientId);
    return group;
  }

  private add(of: Identity, binding?: LiteBinding): Group {
    const lite = binding && { ...binding, consumers: new LiteConsumers() };
    const group: Group = { ...of, ...NO_SETTINGS, subscriptions: new Map(), members: new Map(), lite };
    this.byId.set(group.id, group);
    if (group.id >= this.nextId) this.nextId = group.id + 1;
    return group;
  }
}

function set(group: Group, { fifo, consume, fromEarliest, maxAttempts, backoffMs }: Settings): void {
  group.fifo = fifo;
  group.consume = consume;
  group.fromEarliest = fromEarliest;
  group.maxAttempts = maxAttempts;
  group.backoffMs = backoffMs;
}

/** As what a client reads: the group, or its place in a broadcasting group if it has one. */
export function readerOf(group: Group, clientId: string): Group | undefined {
  return group.consume === 'broadcasting' ? group.members.get(clientId) : group;
}

/** All that a group reads as: itself, or the members of a broadcasting group. */
export function readersOf(group: Group): readonly Group[] {
  return group.consume === 'broadcasting' ? [...group.members.values()] : [group];
}

/** Delay before the delivery that follows delivery number `attempt`. */
export function backoffOf(group: Group, attempt: number): number {
  const { backoffMs } = group;
  return backoffMs[Math.min(Math.max(attempt, 1), backoffMs.length) - 1] ?? 0;
}
