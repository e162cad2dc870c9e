// `fulmar group ...`: consumer groups through the admin API.
import { parseDuration } from '@fulmar/core/quantities.ts';
import { type Command, UsageError } from './command.ts';
import { listAll, memberTable, ownerTable, type SubscriptionInfo, subscriptionTable } from './lag.ts';
import { age, table, time } from './table.ts';

interface GroupSettings {
  readonly fifo: boolean;
  readonly maxAttempts: number;
  readonly backoffMs: readonly number[];
  /** A place in `MODES`. */
  readonly consume: number;
  readonly fromEarliest: boolean;
  /** Empty for a group that is not one of lite consumers. */
  readonly liteTopic: string;
  readonly liteExclusive: boolean;
}

/** In the order of their numbers in admin.proto; `fulmar apply` reads them too. */
export const MODES = ['', 'shared', 'broadcasting', 'exclusive'];

interface GroupInfo {
  readonly name: string;
  readonly settings: GroupSettings;
  readonly createdAtMs: number;
}

interface GroupDetails {
  readonly group: GroupInfo;
  readonly subscriptions: readonly SubscriptionInfo[];
  readonly clients: readonly {
    readonly clientId: string;
    readonly language: string;
    readonly version: string;
    readonly peer: string;
  }[];
}

function backoffOf(text: string | undefined): number[] {
  if (text === undefined) return [];
  return text.split(',').map((each) => {
    const delay = parseDuration(each.trim());
    if (delay === undefined) {
      throw new UsageError(`--backoff cannot be "${text}". Give times with their units: 1s,5s,1m.`);
    }
    return delay;
  });
}

function wordsOf({ fifo, consume, liteTopic, liteExclusive }: GroupSettings): string {
  if (liteTopic) return `lite topics of ${liteTopic}, ${liteExclusive ? 'exclusive' : 'shared'}`;
  return `${fifo ? 'in order' : 'any order'}, ${MODES[consume]}`;
}

function beginningOf({ fromEarliest }: GroupSettings): string {
  return fromEarliest ? 'earliest' : 'latest';
}

function describe({ group, subscriptions, clients }: GroupDetails): string {
  const { name, settings, createdAtMs } = group;
  const facts = [
    ['Group', name],
    ['Consumes', wordsOf(settings)],
    ['Attempts', `${settings.maxAttempts}, then dead-letter topic`],
    ['Delays', settings.backoffMs.map(age).join(', ')],
    ['Begins at', beginningOf(settings)],
    ['Created', time(createdAtMs)],
  ];
  const consumers = clients.map((client) => [client.clientId, client.language, client.version, client.peer]);
  return [
    facts.map(([label, value]) => `${label!.padEnd(9)}  ${value}`).join('\n'),
    subscriptions.length === 0 ? 'It reads no topic yet.' : subscriptionTable(subscriptions),
    ...ownerTable(subscriptions),
    ...memberTable(subscriptions),
    consumers.length === 0
      ? 'No consumer is online at this proxy.'
      : table(['consumer', 'language', 'version', 'address'], consumers),
  ].join('\n\n');
}

export const GROUP_COMMANDS: readonly Command[] = [
  {
    name: 'group create',
    text: 'Create a consumer group, or change its settings.',
    positional: ['NAME'],
    flags: {
      fifo: { text: 'Consume the messages of one message group one after the other.' },
      'max-attempts': {
        value: 'N',
        type: 'number',
        min: 1,
        max: 1_000,
        text: 'Deliveries before a message goes to the dead-letter topic. Default: the cluster’s.',
      },
      backoff: {
        value: 'TIMES',
        text: 'Waits before the next delivery, such as 1s,5s,1m; the last one repeats. Default: the cluster’s.',
      },
      consume: {
        value: 'MODE',
        choices: ['shared', 'exclusive', 'broadcasting'],
        text: 'Take from every queue (shared, the default), have queues of their own, or each get every message.',
      },
      from: {
        value: 'WHERE',
        choices: ['latest', 'earliest'],
        text: 'Begin with new messages (latest, the default) or with the oldest kept (earliest).',
      },
      'lite-topic': { value: 'TOPIC', text: 'For lite consumers: the topic of type LITE whose lite topics they read.' },
      'lite-exclusive': { text: 'With --lite-topic: one consumer reads a lite topic at a time, the newest one.' },
    },
    example: 'fulmar group create billing --fifo --max-attempts 5 --from earliest',
    async run({ proxy, values }) {
      if (values.has('lite-exclusive') && !values.has('lite-topic')) {
        throw new UsageError('--lite-exclusive needs --lite-topic. Name the topic of type LITE.');
      }
      const settings = {
        fifo: values.has('fifo'),
        maxAttempts: values.number('max-attempts') ?? 0,
        backoffMs: backoffOf(values.text('backoff')),
        consume: MODES.indexOf(values.text('consume') ?? ''),
        fromEarliest: values.text('from') === 'earliest',
        liteTopic: values.text('lite-topic') ?? '',
        liteExclusive: values.has('lite-exclusive'),
      };
      const { group } = await proxy.admin<{ group: GroupInfo }>('CreateGroup', {
        name: values.required('NAME'),
        settings,
      });
      const { maxAttempts } = group.settings;
      return { json: group, text: `Group ${group.name} consumes ${wordsOf(group.settings)}, ${maxAttempts} attempts.` };
    },
  },
  {
    name: 'group list',
    text: 'List consumer groups.',
    positional: ['[PREFIX]'],
    flags: {},
    example: 'fulmar group list',
    async run({ proxy, values }) {
      const groups = await listAll<GroupInfo>(proxy, 'ListGroups', 'groups', values.text('PREFIX') ?? '');
      const rows = groups.map(({ name, settings, createdAtMs }) => [
        name,
        wordsOf(settings),
        settings.maxAttempts,
        beginningOf(settings),
        time(createdAtMs),
      ]);
      const head = ['group', 'consumes', 'attempts', 'from', 'created'];
      return { json: groups, text: rows.length === 0 ? 'There are no consumer groups.' : table(head, rows) };
    },
  },
  {
    name: 'group describe',
    text: 'Show the settings of a group, how far it is, and who consumes.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar group describe billing',
    async run({ proxy, values }) {
      const details = await proxy.admin<GroupDetails>('DescribeGroup', { name: values.required('NAME') });
      return { json: details, text: describe(details) };
    },
  },
  {
    name: 'group delete',
    text: 'Forget a consumer group and its progress, for ever.',
    positional: ['NAME'],
    flags: {},
    example: 'fulmar group delete billing',
    async run({ proxy, values }) {
      const name = values.required('NAME');
      await proxy.admin('DeleteGroup', { name });
      return { json: { deleted: name }, text: `Group ${name} is deleted.` };
    },
  },
];
