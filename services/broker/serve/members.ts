// The members of broadcasting groups: each client id that receives gets a place of its own, beginning at that moment,
// and keeps it over restarts of broker and proxy. A member that has not been heard of for an hour is forgotten,
// together with its place. A new master counts that hour anew, because it does not know who was heard of before.
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import type { Group } from '../state/groups.ts';
import { DELETE_BYTES, writeDelete } from '../state/records/definitions.ts';
import { memberPutBytes, writeMemberPut } from '../state/records/membership.ts';
import type { BrokerState } from '../state/state.ts';
import { UNKNOWN_FATE } from './dispatcher.ts';

const SWEEP_MS = 30_000;

export interface MembersParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly bounds: Pick<MemoryBounds, 'members'>;
  readonly isOnline: (clientId: string) => boolean;
  readonly takeGroupId: () => number;
}

export class Members {
  private readonly parts: MembersParts;
  /** When each member was known to be online last; of those of an earlier reign, since when they are looked at. */
  private readonly seenAtMs = new Map<Group, number>();
  private readonly underWay = new Map<string, Promise<Group | undefined>>();
  /** Their records are on the way. */
  private readonly forgetting = new Map<Group, Promise<void>>();
  private timer: Timer | undefined;

  constructor(parts: MembersParts) {
    this.parts = parts;
  }

  start(): void {
    this.sweep();
    this.arm();
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** The place of this client in the group, made if there is none. */
  async ensure(group: Group, clientId: string): Promise<Outcome<Group>> {
    if (clientId === '') return { fault: NAMELESS };
    const known = group.members.get(clientId);
    if (known !== undefined) {
      const forgotten = this.forgetting.get(known);
      if (forgotten === undefined) {
        this.seenAtMs.set(known, this.parts.clock.monotonicMs());
        return success(known);
      }
      await forgotten;
      return this.ensure(group, clientId);
    }
    const name = `${group.id} ${clientId}`;
    let made = this.underWay.get(name);
    if (made === undefined) {
      const refused = this.refusal(group);
      if (refused !== undefined) return { fault: refused };
      made = this.make(group, clientId).finally(() => this.underWay.delete(name));
      this.underWay.set(name, made);
    }
    const member = await made;
    return member === undefined ? UNKNOWN_FATE : success(member);
  }

  private refusal({ name, members }: Group): Fault | undefined {
    const { state, bounds } = this.parts;
    const hours = LIMITS.memberKeptMs / 3_600_000;
    const advice =
      `members, those that left within ${hours} h included. Keep client ids over restarts, wait until members are ` +
      'forgotten, or delete the group and create it anew.';
    if (members.size >= LIMITS.membersPerGroup) {
      return fault('TOO_MANY_REQUESTS', `The broadcasting group ${name} has ${LIMITS.membersPerGroup} ${advice}`);
    }
    if (state.groups.members + this.underWay.size >= bounds.members) {
      return fault('TOO_MANY_REQUESTS', `All broadcasting groups together have ${bounds.members} ${advice}`);
    }
    return undefined;
  }

  private make(group: Group, clientId: string): Promise<Group | undefined> {
    const { committer, clock, takeGroupId } = this.parts;
    const payload = { memberId: takeGroupId(), groupId: group.id, clientId, createdAtMs: clock.wallMs() };
    return new Promise((resolve) => {
      committer.append({ type: RECORD_TYPE.memberPut, payload }, memberPutBytes(payload), writeMemberPut, () => {
        const member = group.members.get(clientId);
        if (member !== undefined) this.seenAtMs.set(member, clock.monotonicMs());
        resolve(member);
      });
    });
  }

  private arm(): void {
    this.timer = this.parts.timers.after(SWEEP_MS, () => {
      this.sweep();
      this.arm();
    });
  }

  private sweep(): void {
    const { state, clock, isOnline } = this.parts;
    const nowMs = clock.monotonicMs();
    for (const member of this.seenAtMs.keys())
      if (state.groups.byId.get(member.id) !== member) this.seenAtMs.delete(member);
    if (state.groups.members === 0) return;
    for (const { members } of state.groups.byName.values()) {
      for (const member of members.values()) {
        const seenAtMs = this.seenAtMs.get(member);
        if (seenAtMs === undefined || isOnline(member.clientId)) this.seenAtMs.set(member, nowMs);
        else if (nowMs - seenAtMs > LIMITS.memberKeptMs && !this.forgetting.has(member)) this.forget(member);
      }
    }
  }

  private forget(member: Group): void {
    const done = Promise.withResolvers<void>();
    this.forgetting.set(member, done.promise);
    const payload = { id: member.id };
    this.parts.committer.append({ type: RECORD_TYPE.memberForget, payload }, DELETE_BYTES, writeDelete, () => {
      this.forgetting.delete(member);
      this.seenAtMs.delete(member);
      done.resolve();
    });
  }
}

const NAMELESS = fault('CLIENT_ID_REQUIRED', 'A broadcasting group knows its members by client id. Send one.');
