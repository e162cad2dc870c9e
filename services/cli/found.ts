// Messages that the admin API has found: how they are asked for page by page, and how they look to people and programs.
import { systemClock } from '@fulmar/runtime/clock.ts';
import type { Values } from './arguments.ts';
import { UsageError } from './command.ts';
import { momentOf } from './moment.ts';
import type { ProxyClient } from './proxy.ts';
import { messageIn, propertyLines } from './stored-message.ts';
import { printable, table, time } from './table.ts';

export interface DeadLetterOrigin {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly reason: string;
  readonly attempts: number;
  readonly firstStoredAtMs: number;
  readonly redriven: boolean;
}

export interface FoundMessage {
  readonly set: string;
  readonly messageId: string;
  readonly topic: string;
  readonly standing: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly position: number;
  readonly bornAtMs: number;
  readonly storedAtMs: number;
  readonly deliverAtMs: number;
  readonly bodyBytes: number;
  readonly detail: string;
  readonly letter: DeadLetterOrigin | null;
  readonly message: Buffer;
}

/** What a call finds at most before it says that there may be more. */
export interface Found {
  readonly messages: readonly FoundMessage[];
  readonly isMore: boolean;
}

const PAGE_SIZE = 1_000;
export const DEFAULT_MAX = 100;

/** Pages until there are `max` messages; each is asked for only when it is needed. */
export async function collect(
  proxy: ProxyClient,
  method: 'FindMessages' | 'ListDeadLetters',
  request: object,
  max: number,
): Promise<Found> {
  const all: FoundMessage[] = [];
  let page = '';
  do {
    const pageSize = Math.min(PAGE_SIZE, max - all.length);
    const answer = await proxy.admin<{
      readonly messages?: readonly FoundMessage[];
      readonly letters?: readonly FoundMessage[];
      readonly nextPage: string;
    }>(method, { ...request, pageSize, page });
    all.push(...(answer.messages ?? answer.letters ?? []));
    page = answer.nextPage;
  } while (page !== '' && all.length < max);
  return { messages: all, isMore: page !== '' };
}

/** The flags `--from` and `--to` as times; 0 for one that is not given. */
export function rangeOf(values: Values): { readonly fromMs: number; readonly toMs: number } {
  const nowMs = systemClock.wallMs();
  const [fromMs, toMs] = (['from', 'to'] as const).map((flag) => {
    const text = values.text(flag);
    if (text === undefined) return 0;
    const timeMs = text === 'now' ? nowMs : momentOf(text, nowMs);
    if (timeMs !== undefined) return Math.floor(timeMs);
    throw new UsageError(`--${flag} cannot be "${text}". Give 2h (that long ago), now, or 2026-11-28T10:00:00Z.`);
  });
  return { fromMs: fromMs!, toMs: toMs! };
}

export const RANGE_FLAGS = {
  from: { value: 'TIME', text: 'Stored at this time or later: 2h for "two hours ago", or 2026-11-28T10:00:00Z.' },
  to: { value: 'TIME', text: 'Stored before this time, written in the same way.' },
} as const;

export const MAX_FLAG = {
  max: { value: 'N', type: 'number', min: 1, max: 100_000, text: `How many to show at most. Default: ${DEFAULT_MAX}.` },
} as const;

/** `3/17` for offset 17 of queue 3. */
export function placeOf({ queueId, queueOffset }: Pick<FoundMessage, 'queueId' | 'queueOffset'>): string {
  return queueOffset < 0 ? '-' : `${queueId}/${queueOffset}`;
}

export function standingOf({ standing, deliverAtMs, detail }: FoundMessage): string {
  if (standing === 'waiting') return `waits until ${time(deliverAtMs)}`;
  if (standing === 'half') return 'half: its transaction is open';
  if (standing === 'past') return detail === '' ? 'was here, and left' : `was half; ended by ${detail}`;
  return standing;
}

export function foundTable(messages: readonly FoundMessage[]): string {
  const rows = messages.map((one) => {
    const message = messageIn(one.message);
    const keys = message.systemProperties?.keys.join(', ') || '-';
    const place = [one.messageId, one.topic, one.set, placeOf(one), time(one.storedAtMs)];
    return [...place, one.bodyBytes, message.systemProperties?.tag ?? '-', keys, standingOf(one)];
  });
  return table(['message', 'topic', 'set', 'place', 'stored', 'bytes', 'tag', 'keys', 'state'], rows);
}

/** What a command shows that lists messages; `nothing` is said when there are none. */
export function listed(
  { messages, isMore }: Found,
  nothing: string,
  tableOf: (messages: readonly FoundMessage[]) => string,
): { readonly json: readonly object[]; readonly text: string } {
  const more = isMore ? [`These are the first ${messages.length}. There may be more: ask for them with --max.`] : [];
  return {
    json: messages.map((message) => jsonOf(message, false)),
    text: [messages.length === 0 ? nothing : tableOf(messages), ...more].join('\n\n'),
  };
}

/** One message with all that is known of it, and its body. */
export function details(found: FoundMessage, facts: readonly (readonly [string, string])[] = []): string {
  const message = messageIn(found.message);
  const lines: (readonly [string, string])[] = [
    ['Message', found.messageId],
    ['Topic', found.topic],
    ['Set', found.set],
    ['Place', placeOf(found)],
    ['Log', String(found.position)],
    ['State', standingOf(found)],
    ['Born', time(found.bornAtMs)],
    ['Stored', time(found.storedAtMs)],
    ...(found.deliverAtMs === 0 ? [] : [['Due', time(found.deliverAtMs)] as const]),
    ...facts,
    ...(message.systemProperties?.messageGroup ? [['Group', message.systemProperties.messageGroup] as const] : []),
    ...(message.systemProperties?.liteTopic ? [['Lite', message.systemProperties.liteTopic] as const] : []),
    ...propertyLines(message),
  ];
  return [
    lines.map(([label, value]) => `${label.padEnd(9)}  ${printable(value)}`).join('\n'),
    printable(message.body.toString()),
  ].join('\n\n');
}

/** For programs: the message in parts instead of bytes. */
export function jsonOf({ message: bytes, letter, ...facts }: FoundMessage, withBody: boolean): object {
  const { userProperties, systemProperties, body } = messageIn(bytes);
  return {
    ...facts,
    ...(letter === null ? {} : { letter }),
    tag: systemProperties?.tag ?? '',
    keys: systemProperties?.keys ?? [],
    userProperties,
    ...(withBody ? { body: body.toString('base64') } : {}),
  };
}
