// Time zones of the IANA database, as the runtime brings them: how far a zone is from UTC at a moment, and which
// moments a clock on the wall of the zone shows a time at. That is one as a rule, two when clocks go back, and none
// when they go forward: then it is the moment that the clock would have shown it at, had it not been changed yet.
import { failure, type Outcome, success } from '../errors.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;

export interface TimeZone {
  /** What has to be added to UTC for the time on the wall. */
  offsetMs(atMs: number): number;
}

const UTC: TimeZone = { offsetMs: () => 0 };

/** Making one is dear, and a name is asked for again and again. */
const known = new Map<string, TimeZone>();
const KNOWN_MAX = 1_000;

export function timeZone(name: string): Outcome<TimeZone> {
  if (name === 'UTC') return success(UTC);
  const found = known.get(name);
  if (found !== undefined) return success(found);
  try {
    const made = zoneOf(name);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(name, made);
    return success(made);
  } catch {
    return failure('BAD_REQUEST', `There is no time zone "${name}". Give one as in Europe/Berlin, or UTC.`);
  }
}

function zoneOf(name: string): TimeZone {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: name, calendar: 'gregory', numberingSystem: 'latn', hourCycle: 'h23', era: 'short' },
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  return {
    offsetMs(atMs) {
      const wholeMs = Math.floor(atMs / 1_000) * 1_000;
      const fields = new Map(format.formatToParts(wholeMs).map(({ type, value }) => [type, Number(value)]));
      const field = (type: Intl.DateTimeFormatPartTypes): number => fields.get(type)!;
      const [year, month, day] = [field('year'), field('month') - 1, field('day')];
      return Date.UTC(year, month, day, field('hour'), field('minute'), field('second')) - wholeMs;
    },
  };
}

/** `wallMs` is the time on the wall written as if it were UTC; the moments ascend. */
export function momentsOf(zone: TimeZone, wallMs: number): readonly number[] {
  const before = zone.offsetMs(wallMs - DAY_MS);
  const after = zone.offsetMs(wallMs + DAY_MS);
  const moments = [...new Set([before, after])]
    .map((offsetMs) => wallMs - offsetMs)
    .filter((atMs) => atMs + zone.offsetMs(atMs) === wallMs);
  return moments.length === 0 ? [wallMs - before] : moments.sort((a, b) => a - b);
}
