// The recurring messages of a broker set: each with its message and the time for which it is sent next. A time that was
// sent for is over, whatever the log says later, so that no fail-over and no restart sends for it twice.
import type { ScheduledMessage } from '@fulmar/core/schedule-api.ts';
import type { ScheduleFireRecord, SchedulePutRecord } from './records/schedule.ts';

export interface Schedule {
  readonly id: number;
  readonly topicId: number;
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly createdAtMs: number;
  readonly message: ScheduledMessage;
  paused: boolean;
  nextAtMs: number;
  lastAtMs: number;
  sent: number;
}

export class Schedules {
  readonly byId = new Map<number, Schedule>();
  readonly byName = new Map<string, Schedule>();
  nextId = 1;

  /** One with the id of another is that one, changed: what it has sent stays. */
  put(record: SchedulePutRecord): void {
    const before = this.byId.get(record.id);
    const { lastAtMs, sent } = before ?? { lastAtMs: 0, sent: 0 };
    const schedule = { ...record, lastAtMs, sent };
    this.byId.set(record.id, schedule);
    this.byName.set(record.name, schedule);
    this.nextId = Math.max(this.nextId, record.id + 1);
  }

  remove(id: number): void {
    const schedule = this.byId.get(id);
    if (schedule === undefined) return;
    this.byId.delete(id);
    this.byName.delete(schedule.name);
  }

  removeTopic(topicId: number): void {
    for (const schedule of [...this.byId.values()]) if (schedule.topicId === topicId) this.remove(schedule.id);
  }

  /** False for a time that is over, or of a schedule that is paused or gone: nothing is sent then. */
  fire({ id, dueAtMs, nextAtMs }: ScheduleFireRecord): boolean {
    const schedule = this.byId.get(id);
    if (schedule === undefined || schedule.paused || schedule.nextAtMs !== dueAtMs) return false;
    schedule.nextAtMs = nextAtMs;
    schedule.lastAtMs = dueAtMs;
    schedule.sent++;
    return true;
  }

  /** Takes one from a snapshot. */
  restore(schedule: Schedule): void {
    this.byId.set(schedule.id, schedule);
    this.byName.set(schedule.name, schedule);
  }
}

/** Bytes that its message takes in memory and in every snapshot. */
export function scheduledBytes({ userPart, systemPart, body }: ScheduledMessage): number {
  return userPart.length + systemPart.length + body.length;
}
