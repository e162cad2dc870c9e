// Schedules of a fake broker set: kept, and never fired.
import { failure, fault, success } from '@fulmar/core/errors.ts';
import type { ScheduleApi, ScheduleDescription } from '@fulmar/core/schedule-api.ts';

export function fakeSchedules(): ScheduleApi {
  const schedules = new Map<string, ScheduleDescription>();
  return {
    async create(request) {
      const known = schedules.get(request.name);
      if (known !== undefined && known.cron !== request.cron) return failure('PRECONDITION_FAILED', 'another one');
      const standing = { paused: false, createdAtMs: 1, nextAtMs: 60_000, lastAtMs: 0, sent: 0 };
      const made = known ?? { ...request, ...standing };
      schedules.set(request.name, made);
      return success(made);
    },
    async setPaused(name, paused) {
      const known = schedules.get(name);
      if (known === undefined) return failure('NOT_FOUND', 'no such schedule');
      const changed = { ...known, paused };
      schedules.set(name, changed);
      return success(changed);
    },
    async delete(name) {
      return schedules.delete(name) ? undefined : fault('NOT_FOUND', 'no such schedule');
    },
    async list() {
      return success([...schedules.values()]);
    },
  };
}
