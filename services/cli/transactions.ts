// `fulmar transaction ...`: half messages that nobody has decided about, through the admin API.
import type { Command, CommandContext } from './command.ts';
import type { ProxyClient } from './proxy.ts';
import { messageIn, propertyLines, type StoredMessage } from './stored-message.ts';
import { age, printable, table, time } from './table.ts';

interface TransactionInfo {
  readonly transactionId: string;
  readonly set: string;
  readonly topic: string;
  readonly messageId: string;
  readonly producer: string;
  readonly storedAtMs: number;
  readonly checks: number;
  readonly expired: boolean;
  readonly nextCheckInMs: number;
  readonly endsInMs: number;
}

const ID = 'TRANSACTION-ID';

async function listAll(proxy: ProxyClient, topic: string, expiredOnly: boolean): Promise<TransactionInfo[]> {
  const all: TransactionInfo[] = [];
  let page = '';
  do {
    const request = { topic, expiredOnly, pageSize: 1_000, page };
    const answer = await proxy.admin<{ transactions: TransactionInfo[]; nextPage: string }>(
      'ListTransactions',
      request,
    );
    all.push(...answer.transactions);
    page = answer.nextPage;
  } while (page !== '');
  return all;
}

function standingOf({ expired, nextCheckInMs, endsInMs }: TransactionInfo): string {
  if (expired) return `expired, rolled back in ${age(endsInMs)}`;
  return nextCheckInMs === 0 ? 'check is due' : `check in ${age(nextCheckInMs)}`;
}

function tableOf(transactions: readonly TransactionInfo[]): string {
  const head = ['transaction', 'topic', 'message', 'stored', 'checks', 'state'];
  const rows = transactions.map((one) => [
    ...[one.transactionId, one.topic, one.messageId, time(one.storedAtMs)],
    ...[one.checks, standingOf(one)],
  ]);
  return table(head, rows);
}

function describe(transaction: TransactionInfo, message: StoredMessage): string {
  const facts = [
    ['Transaction', transaction.transactionId],
    ['Topic', transaction.topic],
    ['Message', transaction.messageId],
    ['Producer', transaction.producer],
    ['Set', transaction.set],
    ['Stored', time(transaction.storedAtMs)],
    ['Checks', String(transaction.checks)],
    ['State', standingOf(transaction)],
    ...propertyLines(message),
  ];
  return [
    facts.map(([label, value]) => `${label!.padEnd(11)}  ${printable(value!)}`).join('\n'),
    printable(message.body.toString()),
  ].join('\n\n');
}

function ending(verb: 'commit' | 'rollback', done: string): Pick<Command, 'run'> {
  return {
    async run({ proxy, values }: CommandContext) {
      const transactionId = values.required(ID);
      await proxy.admin('EndTransaction', { transactionId, commit: verb === 'commit' });
      return { json: { transactionId, resolution: verb }, text: `Transaction ${transactionId} is ${done}.` };
    },
  };
}

const EXAMPLE_ID = 'AY0-Xw4AAAAAAAH0pQ1x';

export const TRANSACTION_COMMANDS: readonly Command[] = [
  {
    name: 'transaction list',
    text: 'List half messages that nobody has decided about.',
    positional: ['[TOPIC]'],
    flags: { expired: { text: 'Only those about which no producer is asked any more.' } },
    example: 'fulmar transaction list --expired',
    async run({ proxy, values }) {
      const transactions = await listAll(proxy, values.text('TOPIC') ?? '', values.has('expired'));
      const text = transactions.length === 0 ? 'There are no open transactions.' : tableOf(transactions);
      return { json: transactions, text };
    },
  },
  {
    name: 'transaction show',
    text: 'Show a half message and how often producers were asked about it.',
    positional: [ID],
    flags: {},
    example: `fulmar transaction show ${EXAMPLE_ID}`,
    async run({ proxy, values }) {
      const request = { transactionId: values.required(ID) };
      const answer = await proxy.admin<{ transaction: TransactionInfo; message: Buffer }>(
        'DescribeTransaction',
        request,
      );
      const message = messageIn(answer.message);
      const { userProperties, body } = message;
      const json = { ...answer.transaction, userProperties, body: body.toString('base64') };
      return { json, text: describe(answer.transaction, message) };
    },
  },
  {
    name: 'transaction commit',
    text: 'Deliver a half message in the place of its producer.',
    positional: [ID],
    flags: {},
    example: `fulmar transaction commit ${EXAMPLE_ID}`,
    ...ending('commit', 'committed'),
  },
  {
    name: 'transaction rollback',
    text: 'Drop a half message in the place of its producer.',
    positional: [ID],
    flags: {},
    example: `fulmar transaction rollback ${EXAMPLE_ID}`,
    ...ending('rollback', 'rolled back'),
  },
  {
    name: 'transaction resume',
    text: 'Have producers asked about a half message anew, also if it has expired.',
    positional: [ID],
    flags: {},
    example: `fulmar transaction resume ${EXAMPLE_ID}`,
    async run({ proxy, values }) {
      const transactionId = values.required(ID);
      await proxy.admin('ResumeTransaction', { transactionId });
      return { json: { transactionId }, text: `Producers will be asked about transaction ${transactionId} again.` };
    },
  },
];
