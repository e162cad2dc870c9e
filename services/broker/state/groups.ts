// The consumer groups of one broker set: how each is served, and since which place in the log it exists.
import type { LiteBinding } from '@fulmar/core/lite-api.ts';
import { LiteConsumers } from './lite-consumers.ts';
import type { GroupPutRecord } from './records/definitions.ts';
import type { Subscription } from './subscription.ts';

export interface Group {
  readonly id: number;
  readonly name: string;
  fifo: boolean;
  broadcast: boolean;
  fromEarliest: boolean;
  maxAttempts: number;
  backoffMs: readonly number[];
  readonly createdAtMs: number;
  /** Log position of the record that made it: it sees every message behind that. */
  readonly createdAtPosition: number;
  readonly subscriptions: Map<number, Subscription>;
  /** Only for a group of lite consumers: its LITE topic, and who reads what in it. */
  readonly lite: (LiteBinding & { readonly consumers: LiteConsumers }) | undefined;
}

export class Groups {
  readonly byId = new Map<number, Group>();
  readonly byName = new Map<string, Group>();
  nextId = 1;

  put(record: GroupPutRecord, position: number): Group {
    let group = this.byId.get(record.groupId);
    if (group === undefined) {
      group = {
        id: record.groupId,
        name: record.name,
        fifo: false,
        broadcast: false,
        fromEarliest: false,
        maxAttempts: 1,
        backoffMs: [],
        createdAtMs: record.createdAtMs,
        createdAtPosition: position,
        subscriptions: new Map(),
        lite: record.lite && { ...record.lite, consumers: new LiteConsumers() },
      };
      this.byId.set(group.id, group);
      this.byName.set(group.name, group);
      if (record.groupId >= this.nextId) this.nextId = record.groupId + 1;
    }
    group.fifo = record.fifo;
    group.broadcast = record.broadcast;
    group.fromEarliest = record.fromEarliest;
    group.maxAttempts = record.maxAttempts;
    group.backoffMs = record.backoffMs;
    return group;
  }

  remove(id: number): Group | undefined {
    const group = this.byId.get(id);
    if (group === undefined) return undefined;
    this.byId.delete(id);
    this.byName.delete(group.name);
    return group;
  }
}

/** Delay before the delivery that follows delivery number `attempt`. */
export function backoffOf(group: Group, attempt: number): number {
  const { backoffMs } = group;
  return backoffMs[Math.min(Math.max(attempt, 1), backoffMs.length) - 1] ?? 0;
}
