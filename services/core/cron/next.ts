// When a cron expression fires next on the clocks of a time zone. A time that the clocks skip in spring fires when they
// would have shown it had they not been changed; a time that they show twice in autumn fires the first time only,
// except where every hour is named: what runs every quarter of an hour goes on doing that.
import type { CronExpression } from './expression.ts';
import { momentsOf, type TimeZone } from './time-zone.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** 29 February on a given weekday comes every 28 years, and every 40 over the turn of a century. */
const DAYS_MAX = 41 * 366;

/** The first moment after `afterMs`; undefined if there is none, as on 30 February. */
export function nextMoment(cron: CronExpression, zone: TimeZone, afterMs: number): number | undefined {
  const wallNowMs = afterMs + zone.offsetMs(afterMs);
  const today = Math.floor(wallNowMs / DAY_MS);
  // A time of yesterday that was skipped, or of a clock that went back, may lie ahead.
  for (let day = today - 1; day < today + DAYS_MAX; day++) {
    if (!fitsDay(cron, day)) continue;
    const found = firstOfDay(cron, zone, day * DAY_MS, afterMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fitsDay({ months, daysOfMonth, daysOfWeek, bothDays }: CronExpression, day: number): boolean {
  const date = new Date(day * DAY_MS);
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const fitsMonth = daysOfMonth.has(date.getUTCDate());
  const fitsWeek = daysOfWeek.has(date.getUTCDay());
  return bothDays ? fitsMonth && fitsWeek : fitsMonth || fitsWeek;
}

/** On a day when clocks are changed later times of the wall may be earlier moments, so all of the day are looked at. */
function firstOfDay(cron: CronExpression, zone: TimeZone, dayMs: number, afterMs: number): number | undefined {
  const offsets = [zone.offsetMs(dayMs - DAY_MS), zone.offsetMs(dayMs + 2 * DAY_MS)];
  const [least, most] = [Math.min(...offsets), Math.max(...offsets)];
  let first: number | undefined;
  for (const hour of cron.hours) {
    for (const minute of cron.minutes) {
      const wallMs = dayMs + (hour * 60 + minute) * MINUTE_MS;
      // Asking a zone is dear, and most times cannot be the first one behind, whatever it says.
      if (wallMs - least <= afterMs || (first !== undefined && wallMs - most >= first)) continue;
      for (const atMs of least === most ? [wallMs - least] : firing(cron, zone, wallMs)) {
        if (atMs > afterMs && (first === undefined || atMs < first)) first = atMs;
      }
    }
  }
  return first;
}

function firing({ everyHour }: CronExpression, zone: TimeZone, wallMs: number): readonly number[] {
  const moments = momentsOf(zone, wallMs);
  if (!everyHour) return moments.slice(0, 1);
  // Every hour that there is; one that is skipped has its minutes in the next one anyway.
  return moments.filter((atMs) => atMs + zone.offsetMs(atMs) === wallMs);
}
