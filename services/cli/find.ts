// `fulmar message ...`: finds messages, shows one, and tells what became of it in every group.
import { type Command, type CommandContext, Refusal, UsageError } from './command.ts';
import {
  collect,
  DEFAULT_MAX,
  details,
  type FoundMessage,
  foundTable,
  jsonOf,
  listed,
  MAX_FLAG,
  placeOf,
  RANGE_FLAGS,
  rangeOf,
  standingOf,
} from './found.ts';
import { messageIn } from './stored-message.ts';
import { count, table, time } from './table.ts';

interface GroupStanding {
  readonly group: string;
  readonly standing: string;
  readonly ahead: number;
  readonly attempt: number;
  readonly untilMs: number;
}

interface TraceEvent {
  readonly group: string;
  readonly kind: string;
  readonly atMs: number;
  readonly attempt: number;
  readonly client: string;
  readonly untilMs: number;
  readonly detail: string;
}

interface Trace {
  readonly groups: readonly GroupStanding[];
  readonly events: readonly TraceEvent[];
  /** The log was not read to the end of the story. */
  readonly isCut: boolean;
}

/** Of 64 MiB of the log each. */
const TRACE_PAGES = 16;
const PLACES_MAX = 1_000;

async function placesOf({ proxy, values }: CommandContext, withBody: boolean, withPast: boolean) {
  const messageId = values.required('ID');
  const request = { messageId, topic: values.text('topic') ?? '', withBody, withPast };
  const { messages } = await collect(proxy, 'FindMessages', request, PLACES_MAX);
  if (messages.length > 0) return messages;
  throw new Refusal(`No message has the id ${messageId}. It was never stored, or is kept no more.`);
}

async function traceOf({ proxy, values }: CommandContext, place: FoundMessage): Promise<Trace> {
  const { set, topic, queueId, queueOffset } = place;
  const liteTopic = messageIn(place.message).systemProperties?.liteTopic ?? '';
  const events: TraceEvent[] = [];
  let groups: readonly GroupStanding[] = [];
  let page = '';
  let left = values.has('full') ? Number.POSITIVE_INFINITY : TRACE_PAGES;
  do {
    const request = { set, topic, liteTopic, queueId, queueOffset, group: values.text('group') ?? '', page };
    const answer = await proxy.admin<{ groups: GroupStanding[]; events: TraceEvent[]; nextPage: string }>(
      'TraceMessage',
      request,
    );
    groups = answer.groups;
    events.push(...answer.events);
    page = answer.nextPage;
  } while (page !== '' && --left > 0);
  return { groups, events, isCut: page !== '' };
}

function until(untilMs: number): string {
  return untilMs === 0 ? '' : `until ${time(untilMs)}`;
}

function nowOf({ standing, ahead, attempt, untilMs }: GroupStanding, events: readonly TraceEvent[]): string {
  switch (standing) {
    case 'waiting':
      return ahead === 0 ? 'next to be handed out' : `waits behind ${count(ahead, 'message')}`;
    case 'held':
      return [`attempt ${attempt}`, until(untilMs)].join(', ');
    case 'due':
      return attempt === 0 ? 'may be handed out' : `may be handed out again, after attempt ${attempt}`;
    case 'parked':
      return 'waits behind an earlier message of its message group';
    default:
      return events.at(-1)?.kind ?? 'settled';
  }
}

function storedWhere({ set, position, storedAtMs }: FoundMessage): string {
  return `on ${set}, log ${position}, stored ${time(storedAtMs)}`;
}

function traceText(place: FoundMessage, { groups, events, isCut }: Trace): string {
  const head = `${place.topic} ${placeOf(place)} ${storedWhere(place)}`;
  if (groups.length === 0) return `${head}\nNo group reads the topic.`;
  const rows = groups.map((one) => {
    const own = events.filter(({ group }) => group === one.group);
    return [one.group, one.standing, nowOf(one, own)];
  });
  const told = events.map(({ atMs, group, kind, attempt, client, untilMs, detail }) => [
    ...[time(atMs), group, kind, attempt || '-', client || '-'],
    [until(untilMs), detail].filter(Boolean).join(', ') || '-',
  ]);
  const cut = 'The log was not read to the end of the story. Read on with --full.';
  return [
    `${head}\n${table(['group', 'state', 'now'], rows)}`,
    ...(told.length === 0 ? [] : [table(['when', 'group', 'what', 'attempt', 'client', 'more'], told)]),
    ...(isCut ? [cut] : []),
  ].join('\n\n');
}

/** A message that was only here for a time has no group; the line says what became of it. */
function pastText(place: FoundMessage): string {
  return `${place.topic} ${storedWhere(place)}: ${standingOf(place)}`;
}

const EXAMPLE_ID = '015D8D1634C723335B0B1586D2B69CAB55';
const ONE_TOPIC = { value: 'NAME', text: 'Only in this topic. Default: wherever the id is found.' } as const;

export const FIND_COMMANDS: readonly Command[] = [
  {
    name: 'message find',
    text: 'Find the messages of a topic by key or by time.',
    positional: [],
    flags: {
      topic: { value: 'NAME', required: true, text: 'The topic. Dead letters of a group are in %DLQ%GROUP.' },
      'lite-topic': { value: 'NAME', text: 'Only messages of this lite topic; needed in a topic of type lite.' },
      key: { value: 'KEY', text: 'Only messages with this key, the newest first.' },
      ...RANGE_FLAGS,
      ...MAX_FLAG,
    },
    example: 'fulmar message find --topic orders --key order-17 --from 2h',
    async run({ proxy, values }) {
      const [topic, key] = [values.text('topic')!, values.text('key') ?? ''];
      const liteTopic = values.text('lite-topic') ?? '';
      if (key === '' && liteTopic === '' && !values.has('from') && !values.has('to')) {
        throw new UsageError('Give a --key, or a time with --from and --to.');
      }
      const request = { topic, liteTopic, key, ...rangeOf(values) };
      const found = await collect(proxy, 'FindMessages', request, values.number('max') ?? DEFAULT_MAX);
      return listed(found, 'No message was found.', foundTable);
    },
  },
  {
    name: 'message show',
    text: 'Show a message by its id: where it lies, its properties, its body.',
    positional: ['ID'],
    flags: { topic: ONE_TOPIC },
    example: `fulmar message show ${EXAMPLE_ID}`,
    async run(context) {
      const places = await placesOf(context, true, false);
      return {
        json: places.map((place) => jsonOf(place, true)),
        text: places.map((place) => details(place)).join('\n\n'),
      };
    },
  },
  {
    name: 'message trace',
    text: 'Tell what became of a message: in each group, each delivery and how it ended.',
    positional: ['ID'],
    flags: {
      topic: ONE_TOPIC,
      group: { value: 'NAME', text: 'Only for this group. Default: for all that read the topic.' },
      full: { text: `Read the log to the end of the story. Default: ${TRACE_PAGES * 64} MiB behind the message.` },
    },
    example: `fulmar message trace ${EXAMPLE_ID}`,
    async run(context) {
      const json: object[] = [];
      const texts: string[] = [];
      const places = [...(await placesOf(context, false, true))].sort((a, b) => a.storedAtMs - b.storedAtMs);
      for (const place of places) {
        if (place.standing !== 'queued') {
          json.push({ ...jsonOf(place, false), groups: [], events: [] });
          texts.push(pastText(place));
          continue;
        }
        const trace = await traceOf(context, place);
        json.push({ ...jsonOf(place, false), ...trace });
        texts.push(traceText(place, trace));
      }
      return { json, text: texts.join('\n\n') };
    },
  },
];
