import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseCron } from './expression.ts';
import { nextMoment } from './next.ts';
import { timeZone } from './time-zone.ts';

function times(cron: string, zoneName: string, after: string, count: number): string[] {
  const zone = timeZone(zoneName).value!;
  const found: string[] = [];
  for (let atMs = Date.parse(after); found.length < count; ) {
    const next = nextMoment(parseCron(cron).value!, zone, atMs);
    if (next === undefined) return [...found, 'never'];
    atMs = next;
    found.push(new Date(atMs).toISOString().replace(':00.000Z', 'Z'));
  }
  return found;
}

describe('a cron expression fires', () => {
  test.each([
    ['0 9 * * MON', ['2026-11-30T09:00Z', '2026-12-07T09:00Z']],
    ['*/20 * * * *', ['2026-11-28T12:20Z', '2026-11-28T12:40Z']],
    ['5/25 12 * * *', ['2026-11-28T12:05Z', '2026-11-28T12:30Z']],
    ['0 0 29 2 *', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['0 0 29 2 1', ['2027-02-01T00:00Z', '2027-02-08T00:00Z']],
    ['0 0 13 * FRI', ['2026-12-04T00:00Z', '2026-12-11T00:00Z', '2026-12-13T00:00Z']],
    ['0 0 * * 7', ['2026-11-29T00:00Z', '2026-12-06T00:00Z']],
    ['0 8-10,18 1 jan,jul *', ['2027-01-01T08:00Z', '2027-01-01T09:00Z', '2027-01-01T10:00Z', '2027-01-01T18:00Z']],
    ['@daily', ['2026-11-29T00:00Z', '2026-11-30T00:00Z']],
    ['@Hourly', ['2026-11-28T13:00Z', '2026-11-28T14:00Z']],
    ['@yearly', ['2027-01-01T00:00Z']],
    ['0 0 31 4,6 *', ['never']],
    ['0 0 29 2 */7', ['2032-02-29T00:00Z', '2060-02-29T00:00Z']],
  ])('%s at its times', (cron, expected) => {
    expect(times(cron, 'UTC', '2026-11-28T12:00:00Z', expected.length)).toEqual(expected);
  });

  test('at the times of the clocks of its zone, in summer and in winter', () => {
    expect(times('0 9 * * *', 'Europe/Berlin', '2026-10-23T12:00:00Z', 4)).toEqual([
      '2026-10-24T07:00Z',
      '2026-10-25T08:00Z',
      '2026-10-26T08:00Z',
      '2026-10-27T08:00Z',
    ]);
    expect(times('30 0 * * *', 'Asia/Kolkata', '2026-11-28T00:00:00Z', 1)).toEqual(['2026-11-28T19:00Z']);
    expect(times('0 0 * * *', 'Pacific/Apia', '2026-11-28T00:00:00Z', 1)).toEqual(['2026-11-28T11:00Z']);
  });

  test('once for a time that the clocks show twice, the first time', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ]);
  });

  test('also for a time that the clocks skip, an hour later as they show it then', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:30Z',
      '2026-03-30T00:30Z',
    ]);
  });

  test('every half hour also while the clocks are changed, if every hour is named', () => {
    const autumn = times('*/30 * * * *', 'Europe/Berlin', '2026-10-24T23:45:00Z', 6);
    expect(autumn.map((time) => time.slice(11))).toEqual(['00:00Z', '00:30Z', '01:00Z', '01:30Z', '02:00Z', '02:30Z']);
    const spring = times('*/30 * * * *', 'Europe/Berlin', '2026-03-28T23:45:00Z', 5);
    expect(spring.map((time) => time.slice(11))).toEqual(['00:00Z', '00:30Z', '01:00Z', '01:30Z', '02:00Z']);
  });
});

test('what is no cron expression or time zone is refused with a sentence that shows one', () => {
  const wrong = ['', '* * * *', '* * * * * *', '60 * * * *', '* 24 * * *', '* * 0 * *', '* * * 13 *', '* * * * 8'];
  const odd = [
    '*/0 * * * *',
    '5-1 * * * *',
    '1-2-3 * * * *',
    '*/2/2 * * * *',
    'x * * * *',
    '-1 * * * *',
    '1,,2 * * * *',
  ];
  for (const cron of [...wrong, ...odd, '* * * FOO *', '0 0 L * *', '@reboot', `${'1,'.repeat(200)}1 * * * *`]) {
    expect([cron, parseCron(cron).fault?.error]).toEqual([cron, 'BAD_REQUEST']);
  }
  for (const zone of ['', 'Europe/Nowhere', 'Berlin', '../etc/passwd', 'x'.repeat(1_000)]) {
    expect([zone, timeZone(zone).fault?.error]).toEqual([zone, 'BAD_REQUEST']);
  }
});

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Africa/Casablanca',
];

/** A field in one of its forms, with the numbers that it means. */
function field(from: number, to: number): fc.Arbitrary<readonly [string, ReadonlySet<number>]> {
  const all = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const range = fc
    .tuple(fc.constantFrom(...all), fc.constantFrom(...all))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
  return fc.oneof(
    fc.constant(['*', new Set(all)] as const),
    fc
      .integer({ min: 1, max: to })
      .map((step) => [`*/${step}`, new Set(all.filter((n) => (n - from) % step === 0))] as const),
    fc
      .uniqueArray(fc.constantFrom(...all), { minLength: 1, maxLength: 4 })
      .map((ns) => [ns.join(','), new Set(ns)] as const),
    range.map(([a, b]) => [`${a}-${b}`, new Set(all.filter((n) => n >= a! && n <= b!))] as const),
  );
}

test('it fires at every minute that fits, and at no other, whatever the expression', () => {
  const anyField = fc.tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6));
  const anyMoment = fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2032, 0) });
  fc.assert(
    fc.property(anyField, anyMoment, (fields, fromMs) => {
      const cron = parseCron(fields.map(([text]) => text).join(' ')).value!;
      const [minutes, hours, days, months, weekdays] = fields.map(([, numbers]) => numbers);
      const isRestricted = ([text]: readonly [string, unknown]): boolean => !text.startsWith('*');
      const either = isRestricted(fields[2]) && isRestricted(fields[4]);
      const next = nextMoment(cron, timeZone('UTC').value!, fromMs);
      // A day in minutes is enough to find every mistake that is not one of calendars.
      const endMs = Math.min(next ?? Number.POSITIVE_INFINITY, fromMs + 86_400_000);
      for (let atMs = (Math.floor(fromMs / 60_000) + 1) * 60_000; atMs <= endMs; atMs += 60_000) {
        const date = new Date(atMs);
        const day = days!.has(date.getUTCDate());
        const weekday = weekdays!.has(date.getUTCDay());
        const fits =
          minutes!.has(date.getUTCMinutes()) &&
          hours!.has(date.getUTCHours()) &&
          months!.has(date.getUTCMonth() + 1) &&
          (either ? day || weekday : day && weekday);
        expect(fits).toBe(atMs === next);
      }
    }),
    { numRuns: 300 },
  );
});

test('in every zone the next time is later, a whole minute, and shows what the expression says or was skipped', () => {
  const anyField = fc.tuple(field(0, 59), field(0, 23));
  const anyMoment = fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2032, 0) });
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), anyField, anyMoment, (name, fields, fromMs) => {
      const zone = timeZone(name).value!;
      const cron = parseCron(`${fields[0][0]} ${fields[1][0]} * * *`).value!;
      const next = nextMoment(cron, zone, fromMs)!;
      expect(next).toBeGreaterThan(fromMs);
      expect(next - fromMs).toBeLessThan(50 * 3_600_000);
      const wall = new Date(next + zone.offsetMs(next));
      const shows = fields[0][1].has(wall.getUTCMinutes()) && fields[1][1].has(wall.getUTCHours());
      const isChange = zone.offsetMs(next - 3 * 3_600_000) !== zone.offsetMs(next);
      expect(shows || isChange).toBe(true);
      expect(wall.getUTCSeconds()).toBe(0);
      // Nothing was passed over.
      expect(nextMoment(cron, zone, next - 1)).toBe(next);
    }),
    { numRuns: 300 },
  );
});
