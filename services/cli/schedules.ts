// `fulmar schedule ...`: messages that are sent again and again, at the times of a cron expression.

import { type Command, type CommandContext, UsageError } from './command.ts';
import { propertiesOf } from './message-to-send.ts';
import { printable, table, time } from './table.ts';

interface ScheduleInfo {
  readonly name: string;
  readonly topic: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly message: {
    readonly tag: string;
    readonly keys: readonly string[];
    readonly properties: Readonly<Record<string, string>>;
    readonly messageGroup: string;
    readonly body: Buffer;
  };
  readonly set: string;
  readonly paused: boolean;
  readonly createdAtMs: number;
  readonly nextAtMs: number;
  readonly lastAtMs: number;
  readonly sent: number;
}

const NEVER_MS = 8_640_000_000_000_000;

function nextOf({ paused, nextAtMs }: ScheduleInfo): string {
  if (paused) return 'paused';
  return nextAtMs > NEVER_MS ? 'never' : time(nextAtMs);
}

function lastOf({ lastAtMs }: ScheduleInfo): string {
  return lastAtMs === 0 ? '-' : time(lastAtMs);
}

function plain(schedule: ScheduleInfo) {
  return { ...schedule, message: { ...schedule.message, body: schedule.message.body.toString('base64') } };
}

function described(schedule: ScheduleInfo): string {
  const { message } = schedule;
  const facts = [
    ['Schedule', schedule.name],
    ['Topic', schedule.topic],
    ['Times', `${schedule.cron} (${schedule.timeZone})`],
    ['Next', nextOf(schedule)],
    ['Last', lastOf(schedule)],
    ['Sent', String(schedule.sent)],
    ['Made', time(schedule.createdAtMs)],
    ['Set', schedule.set],
    ['Tag', message.tag || '-'],
    ['Keys', message.keys.join(', ') || '-'],
    ['Group', message.messageGroup || '-'],
    ...Object.entries(message.properties).map(([key, value]) => ['Property', `${key}=${value}`]),
  ];
  const lines = facts.map(([label, value]) => `${label!.padEnd(8)}  ${printable(value!)}`);
  return [lines.join('\n'), printable(message.body.toString())].join('\n\n');
}

async function create({ proxy, values, input }: CommandContext) {
  const given = values.text('body');
  const body = given === undefined ? await input() : Buffer.from(given);
  if (body.length === 0) throw new UsageError('The message has no body. Give --body, or pipe it in.');
  const message = {
    tag: values.text('tag') ?? '',
    keys: values.list('key'),
    properties: propertiesOf(values.list('property')),
    messageGroup: values.text('message-group') ?? '',
    body,
  };
  const wanted = {
    name: values.required('NAME'),
    topic: values.required('topic'),
    cron: values.required('cron'),
    timeZone: values.text('time-zone') ?? 'UTC',
    message,
  };
  const { schedule } = await proxy.admin<{ schedule: ScheduleInfo }>('CreateSchedule', { schedule: wanted });
  const text = `${schedule.name} sends to ${schedule.topic} at ${nextOf(schedule)} for the first time.`;
  return { json: plain(schedule), text };
}

/** A command that names one schedule and shows what has become of it. */
function changing(verb: 'Pause' | 'Resume', textOf: (schedule: ScheduleInfo) => string): Pick<Command, 'run'> {
  return {
    async run({ proxy, values }) {
      const request = { name: values.required('NAME') };
      const { schedule } = await proxy.admin<{ schedule: ScheduleInfo }>(`${verb}Schedule`, request);
      return { json: plain(schedule), text: textOf(schedule) };
    },
  };
}

async function listAll({ proxy }: CommandContext): Promise<readonly ScheduleInfo[]> {
  const all: ScheduleInfo[] = [];
  let page = '';
  do {
    const answer = await proxy.admin<{ schedules: ScheduleInfo[]; nextPage: string }>('ListSchedules', { page });
    all.push(...answer.schedules);
    page = answer.nextPage;
  } while (page !== '');
  return all;
}

export const SCHEDULE_COMMANDS: readonly Command[] = [
  {
    name: 'schedule create',
    text: 'Have a message sent again and again.',
    positional: ['NAME'],
    flags: {
      topic: { value: 'NAME', required: true, text: 'Where it is sent to.' },
      cron: { value: 'FIELDS', required: true, text: 'Minute, hour, day, month, weekday; or @daily and the like.' },
      'time-zone': { value: 'ZONE', text: 'Whose clocks count, such as Europe/Berlin. Default: UTC.' },
      body: { value: 'TEXT', text: 'The message. Default: the standard input.' },
      tag: { value: 'TAG', text: 'A tag, by which consumers can choose.' },
      key: { value: 'KEY', repeated: true, text: 'A key; may be repeated.' },
      property: { value: 'NAME=VALUE', repeated: true, text: 'A property; may be repeated.' },
      'message-group': { value: 'GROUP', text: 'The message group, for a FIFO topic.' },
    },
    example: 'fulmar schedule create weekly --topic reports --cron "0 9 * * MON" --time-zone Europe/Berlin --body go',
    run: create,
  },
  {
    name: 'schedule list',
    text: 'List recurring messages.',
    positional: [],
    flags: {},
    example: 'fulmar schedule list',
    async run(context) {
      const schedules = await listAll(context);
      const head = ['schedule', 'topic', 'times', 'zone', 'next', 'last', 'sent'];
      const rows = schedules.map((one) => [
        ...[one.name, one.topic, one.cron, one.timeZone, nextOf(one)],
        ...[lastOf(one), one.sent],
      ]);
      const text = schedules.length === 0 ? 'There are no schedules.' : table(head, rows);
      return { json: schedules.map(plain), text };
    },
  },
  {
    name: 'schedule show',
    text: 'Show a recurring message, with its body.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar schedule show weekly',
    async run({ proxy, values }) {
      const request = { name: values.required('NAME') };
      const { schedule } = await proxy.admin<{ schedule: ScheduleInfo }>('DescribeSchedule', request);
      return { json: plain(schedule), text: described(schedule) };
    },
  },
  {
    name: 'schedule pause',
    text: 'Send nothing until it is resumed.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar schedule pause weekly',
    ...changing('Pause', ({ name }) => `${name} is paused.`),
  },
  {
    name: 'schedule resume',
    text: 'Go on with the next time; what was missed is not sent.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar schedule resume weekly',
    ...changing('Resume', (schedule) => `${schedule.name} goes on, next at ${nextOf(schedule)}.`),
  },
  {
    name: 'schedule delete',
    text: 'Send it no more. Messages that were sent stay.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar schedule delete weekly',
    async run({ proxy, values }) {
      const name = values.required('NAME');
      await proxy.admin('DeleteSchedule', { name });
      return { json: { name }, text: `${name} is deleted.` };
    },
  },
];
