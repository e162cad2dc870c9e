// A cron expression: five fields, or a short form such as @daily, read once into the sets of minutes, hours, days and
// months that it names. As in every cron: when both days are restricted, one that fits either of them fits.
import { failure, type Outcome, success } from '../errors.ts';
import { LIMITS } from '../limits.ts';

export interface CronExpression {
  /** Ascending. */
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly daysOfWeek: ReadonlySet<number>;
  /** A day has to fit both sets of days; otherwise one of them is enough. */
  readonly bothDays: boolean;
  /** It fires whatever hour it is, so also in the hour that comes twice when summer ends. */
  readonly everyHour: boolean;
}

interface Field {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Names of the numbers from `from` on. */
  readonly names?: readonly string[];
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const MINUTE: Field = { name: 'minute', from: 0, to: 59 };
const HOUR: Field = { name: 'hour', from: 0, to: 23 };
const DAY_OF_MONTH: Field = { name: 'day of month', from: 1, to: 31 };
const MONTH: Field = { name: 'month', from: 1, to: 12, names: MONTHS };
/** 7 is Sunday as well. */
const DAY_OF_WEEK: Field = { name: 'day of week', from: 0, to: 7, names: DAYS };

const SHORT_FORMS = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

const EXAMPLE = 'Write five fields, such as "0 9 * * MON" for Mondays at nine.';

export function parseCron(text: string): Outcome<CronExpression> {
  if (text.length > LIMITS.cronLength) {
    return failure(
      'BAD_REQUEST',
      `A cron expression has at most ${LIMITS.cronLength} characters. Write a shorter one.`,
    );
  }
  const trimmed = text.trim();
  const fields = (SHORT_FORMS.get(trimmed.toLowerCase()) ?? trimmed).split(/[ \t]+/);
  if (fields.length !== 5) return failure('BAD_REQUEST', `The cron expression has no five fields. ${EXAMPLE}`);
  const [minute, hour, dayOfMonth, month, dayOfWeek] = fields as [string, string, string, string, string];
  const minutes = numbersOf(MINUTE, minute);
  const hours = numbersOf(HOUR, hour);
  const daysOfMonth = numbersOf(DAY_OF_MONTH, dayOfMonth);
  const months = numbersOf(MONTH, month);
  const daysOfWeek = numbersOf(DAY_OF_WEEK, dayOfWeek);
  for (const { fault } of [minutes, hours, daysOfMonth, months, daysOfWeek]) if (fault !== undefined) return { fault };
  return success({
    minutes: minutes.value!,
    hours: hours.value!,
    daysOfMonth: new Set(daysOfMonth.value!),
    months: new Set(months.value!),
    daysOfWeek: new Set(daysOfWeek.value!.map((day) => day % 7)),
    bothDays: dayOfMonth.startsWith('*') || dayOfWeek.startsWith('*'),
    everyHour: hours.value!.length === 24,
  });
}

/** The numbers that a field names, ascending. */
function numbersOf(field: Field, text: string): Outcome<readonly number[]> {
  const found = new Set<number>();
  for (const part of text.split(',')) {
    const range = rangeOf(field, part);
    if (range === undefined) {
      const values = `${field.from} to ${field.to}${field.names === undefined ? '' : ` or ${field.names[0]} ...`}`;
      return failure('BAD_REQUEST', `"${part}" is no ${field.name} of a cron expression: ${values}. ${EXAMPLE}`);
    }
    for (let value = range.from; value <= range.to; value += range.step) found.add(value);
  }
  return success([...found].sort((a, b) => a - b));
}

function rangeOf(field: Field, part: string): { from: number; to: number; step: number } | undefined {
  const [span = '', stepText, ...more] = part.split('/');
  const step = stepText === undefined ? 1 : wholeNumber(stepText);
  if (more.length > 0 || step === undefined || step < 1 || step > field.to) return undefined;
  if (span === '*') return { from: field.from, to: field === DAY_OF_WEEK ? 6 : field.to, step };
  const [fromText = '', toText, ...rest] = span.split('-');
  const from = numberOf(field, fromText);
  if (rest.length > 0 || from === undefined) return undefined;
  // A step without an end runs to the end of the field.
  const to = toText === undefined ? (stepText === undefined ? from : field.to) : numberOf(field, toText);
  return to === undefined || to < from ? undefined : { from, to, step };
}

function numberOf(field: Field, text: string): number | undefined {
  const named = field.names?.indexOf(text.toUpperCase()) ?? -1;
  if (named >= 0) return field.from + named;
  const value = wholeNumber(text);
  return value === undefined || value < field.from || value > field.to ? undefined : value;
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}
