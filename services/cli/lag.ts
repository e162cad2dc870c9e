// `fulmar lag`: how far consumer groups are behind; and what other commands share with it.
import type { Command } from './command.ts';
import type { ProxyClient } from './proxy.ts';
import { age, table } from './table.ts';

export interface SubscriptionInfo {
  readonly group: string;
  readonly topic: string;
  readonly readyMessages: number;
  readonly inFlightMessages: number;
  readonly lagMs: number;
  readonly filter: string;
  readonly refusedFilters: readonly string[];
  readonly owners: readonly { readonly set: string; readonly queueId: number; readonly clientId: string }[];
  readonly members: readonly {
    readonly clientId: string;
    readonly online: boolean;
    readonly readyMessages: number;
    readonly inFlightMessages: number;
    readonly lagMs: number;
  }[];
}

export function subscriptionTable(subscriptions: readonly SubscriptionInfo[]): string {
  return table(
    ['group', 'topic', 'ready', 'in flight', 'behind', 'filter'],
    subscriptions.map((one) => [
      ...[one.group, one.topic, one.readyMessages, one.inFlightMessages, age(one.lagMs)],
      filterText(one),
    ]),
  );
}

/** Whom the queues of an exclusive group belong to; nothing for other groups. */
export function ownerTable(subscriptions: readonly SubscriptionInfo[]): string[] {
  const rows = subscriptions.flatMap(({ topic, owners }) =>
    owners.map(({ set, queueId, clientId }) => [topic, set, queueId, clientId]),
  );
  return rows.length === 0 ? [] : [table(['topic', 'set', 'queue', 'belongs to'], rows)];
}

/** How far each member of a broadcasting group is; nothing for other groups. */
export function memberTable(subscriptions: readonly SubscriptionInfo[]): string[] {
  const rows = subscriptions.flatMap(({ topic, members }) =>
    members.map((one) => [
      ...[one.clientId, topic, one.online ? 'yes' : 'no'],
      ...[one.readyMessages, one.inFlightMessages, age(one.lagMs)],
    ]),
  );
  return rows.length === 0 ? [] : [table(['member', 'topic', 'online', 'ready', 'in flight', 'behind'], rows)];
}

/** The filter in force, and those that other members of the group ask for in vain. */
function filterText({ filter, refusedFilters }: SubscriptionInfo): string {
  return refusedFilters.length === 0 ? filter : `${filter} (refused: ${refusedFilters.join('; ')})`;
}

/** Every page of a list. */
export async function listAll<Item>(
  proxy: ProxyClient,
  method: string,
  field: string,
  prefix: string,
): Promise<Item[]> {
  const items: Item[] = [];
  let page = '';
  do {
    const answer: Record<string, unknown> = await proxy.admin(method, { prefix, pageSize: 1_000, page });
    items.push(...(answer[field] as Item[]));
    page = answer.nextPage as string;
  } while (page !== '');
  return items;
}

export const LAG_COMMANDS: readonly Command[] = [
  {
    name: 'lag',
    text: 'Show how far consumer groups are behind.',
    positional: ['[GROUP]'],
    flags: { topic: { value: 'NAME', text: 'Only in this topic.' } },
    example: 'fulmar lag billing',
    async run({ proxy, values }) {
      const request = { group: values.text('GROUP') ?? '', topic: values.text('topic') ?? '' };
      const { subscriptions } = await proxy.admin<{ subscriptions: SubscriptionInfo[] }>('GetLag', request);
      const text = subscriptions.length === 0 ? 'Nobody has read anything yet.' : subscriptionTable(subscriptions);
      return { json: subscriptions, text };
    },
  },
];
