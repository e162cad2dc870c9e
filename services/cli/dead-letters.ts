// `fulmar dlq ...`: the dead letters of a group, and how it gets them again.
import { type Command, type CommandContext, Refusal, UsageError } from './command.ts';
import {
  collect,
  DEFAULT_MAX,
  type DeadLetterOrigin,
  details,
  type FoundMessage,
  jsonOf,
  listed,
  MAX_FLAG,
  placeOf,
  RANGE_FLAGS,
  rangeOf,
} from './found.ts';
import { count, table, time } from './table.ts';

interface RedrivenLetter {
  readonly set: string;
  readonly messageId: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly letterOffset: number;
  readonly outcome: string;
}

const REASONS: Readonly<Record<string, string>> = {
  attempts: 'all attempts used up',
  client: 'given up by a consumer',
};

const reasonOf = ({ reason }: DeadLetterOrigin): string => REASONS[reason] ?? 'not known';

function listTable(letters: readonly FoundMessage[]): string {
  const rows = letters.map(({ messageId, set, storedAtMs, letter }) => [
    messageId,
    letter?.topic || '-',
    set,
    letter === null ? '-' : placeOf(letter),
    time(letter?.firstStoredAtMs ?? 0),
    time(storedAtMs),
    letter?.attempts || '-',
    letter === null ? '-' : reasonOf(letter),
    letter?.redriven ? 'yes' : 'no',
  ]);
  const head = ['message', 'topic', 'set', 'place', 'stored', 'dead since', 'attempts', 'reason', 'redriven'];
  return table(head, rows);
}

function factsOf({ letter }: FoundMessage): [string, string][] {
  if (letter === null) return [];
  return [
    ['From', letter.topic === '' ? 'a topic that is gone' : `${letter.topic} ${placeOf(letter)}`],
    ['First', time(letter.firstStoredAtMs)],
    ['Attempts', letter.attempts === 0 ? '-' : String(letter.attempts)],
    ['Reason', reasonOf(letter)],
    ['Redriven', letter.redriven ? 'yes' : 'no'],
  ];
}

const OUTCOMES: readonly { readonly outcome: string; readonly words: string; readonly would: string }[] = [
  { outcome: 'redriven', words: 'redriven', would: 'would be redriven' },
  { outcome: 'already', words: 'redriven before; --again does it once more', would: 'redriven before' },
  { outcome: 'open', words: 'before the group anyway', would: 'before the group anyway' },
  { outcome: 'gone', words: 'cannot be: the message is kept no more', would: 'cannot be: the message is kept no more' },
];

function summary(letters: readonly RedrivenLetter[], dryRun: boolean): string {
  if (letters.length === 0) return 'No dead letter fits, so nothing is redriven.';
  const lines = OUTCOMES.flatMap(({ outcome, words, would }) => {
    const amount = letters.filter((letter) => letter.outcome === outcome).length;
    return amount === 0 ? [] : [`${count(amount, 'letter')} ${dryRun ? would : words}.`];
  });
  return [...lines, ...(dryRun ? ['Nothing was changed. Leave out --dry-run to do it.'] : [])].join('\n');
}

async function redrive({ proxy, values, json: isJson, output }: CommandContext) {
  const messageId = values.text('ID') ?? '';
  const [all, dryRun] = [values.has('all'), values.has('dry-run')];
  const hasTime = values.has('from') || values.has('to');
  if (messageId !== '' ? all || hasTime : !all && !hasTime) {
    throw new UsageError('Say which letters: a message ID, or a time with --from and --to, or --all.');
  }
  const request = { group: values.required('GROUP'), messageId, ...rangeOf(values), all, dryRun };
  const letters: RedrivenLetter[] = [];
  let page = '';
  do {
    const answer = await proxy
      .admin<{ letters: RedrivenLetter[]; nextPage: string }>('RedriveDeadLetters', {
        ...request,
        again: values.has('again'),
        page,
      })
      .catch((problem: unknown) => {
        // What was done stays done, and doing it again changes nothing.
        if (letters.length > 0 && !isJson) output(`Until then: ${summary(letters, dryRun)}`);
        throw problem;
      });
    letters.push(...answer.letters);
    page = answer.nextPage;
  } while (page !== '');
  return { json: letters, text: summary(letters, dryRun) };
}

export const DEAD_LETTER_COMMANDS: readonly Command[] = [
  {
    name: 'dlq list',
    text: 'List the dead letters of a group: why each became one, and whether it was redriven.',
    positional: ['GROUP'],
    flags: { ...RANGE_FLAGS, ...MAX_FLAG },
    example: 'fulmar dlq list billing --from 1d',
    async run({ proxy, values }) {
      const request = { group: values.required('GROUP'), ...rangeOf(values) };
      const found = await collect(proxy, 'ListDeadLetters', request, values.number('max') ?? DEFAULT_MAX);
      return listed(found, 'There are no dead letters.', listTable);
    },
  },
  {
    name: 'dlq show',
    text: 'Show a dead letter: its story, its properties, its body.',
    positional: ['GROUP', 'ID'],
    flags: {},
    example: 'fulmar dlq show billing 015D8D1634C723335B0B1586D2B69CAB55',
    async run({ proxy, values }) {
      const [group, messageId] = [values.required('GROUP'), values.required('ID')];
      const { messages } = await collect(proxy, 'ListDeadLetters', { group, messageId, withBody: true }, DEFAULT_MAX);
      if (messages.length === 0) throw new Refusal(`The group ${group} has no dead letter with the id ${messageId}.`);
      return {
        json: messages.map((letter) => jsonOf(letter, true)),
        text: messages.map((letter) => details(letter, factsOf(letter))).join('\n\n'),
      };
    },
  },
  {
    name: 'dlq redrive',
    text: 'Hand dead letters out once more to the group that gave them up, and to no other.',
    positional: ['GROUP', '[ID]'],
    flags: {
      all: { text: 'All letters of the group.' },
      ...RANGE_FLAGS,
      again: { text: 'Also those that were redriven before.' },
      'dry-run': { text: 'Show what would happen, and change nothing.' },
    },
    example: 'fulmar dlq redrive billing --from 2h --dry-run',
    run: redrive,
  },
];
