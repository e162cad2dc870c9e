// Consumer groups as administrators see them: the same on every broker set. Their clients hear of a change at once.
import { CONSUME_MODES, type GroupDescription } from '@fulmar/core/broker-api.ts';
import { FaultError } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { checkGroupName } from '@fulmar/core/names.ts';
import { DEFAULT_GROUP } from '../clients/settings.ts';
import {
  type AdminDependencies,
  askEverySet,
  byName,
  checkKey,
  type PageRequest,
  pageOf,
  refuse,
} from './admin-context.ts';
import { lagOf, type SubscriptionInfo } from './admin-lag.ts';
import type { UnaryHandler } from './call.ts';

interface GroupSettings {
  readonly fifo?: boolean;
  readonly maxAttempts?: number;
  readonly backoffMs?: readonly number[];
  /** 0 for as it is; otherwise one more than the place in `CONSUME_MODES`. */
  readonly consume?: number;
  readonly fromEarliest?: boolean;
  readonly liteTopic?: string;
  readonly liteExclusive?: boolean;
}

interface GroupInfo {
  readonly name: string;
  readonly settings: GroupSettings;
  readonly createdAtMs: number;
}

interface ClientInfo {
  readonly clientId: string;
  readonly language: string;
  readonly version: string;
  readonly peer: string;
}

export interface GroupHandlers {
  readonly CreateGroup: UnaryHandler<
    { readonly name?: string; readonly settings?: GroupSettings | null },
    { readonly group: GroupInfo }
  >;
  readonly ListGroups: UnaryHandler<PageRequest, { readonly groups: readonly GroupInfo[]; readonly nextPage: string }>;
  readonly DescribeGroup: UnaryHandler<
    { readonly name?: string },
    {
      readonly group: GroupInfo;
      readonly subscriptions: readonly SubscriptionInfo[];
      readonly clients: readonly ClientInfo[];
    }
  >;
  readonly DeleteGroup: UnaryHandler<{ readonly name?: string }, Record<string, never>>;
  readonly GetLag: UnaryHandler<
    { readonly group?: string; readonly topic?: string },
    { readonly subscriptions: readonly SubscriptionInfo[] }
  >;
}

function infoOf(group: GroupDescription): GroupInfo {
  const { name, fifo, maxAttempts, backoff, from, createdAtMs, lite } = group;
  const consume = CONSUME_MODES.indexOf(group.consume) + 1;
  const order = { fifo, maxAttempts, backoffMs: backoff.delaysMs, consume, fromEarliest: from === 'earliest' };
  const settings = { ...order, liteTopic: lite?.topic ?? '', liteExclusive: lite?.exclusive ?? false };
  return { name, settings, createdAtMs };
}

const NEW_GROUP = { ...DEFAULT_GROUP, consume: 'shared' } as const;

export function groupHandlers(dependencies: AdminDependencies): GroupHandlers {
  /** Every group that any broker set knows, by name. */
  async function allGroups(): Promise<ReadonlyMap<string, GroupDescription>> {
    const groups = new Map<string, GroupDescription>();
    for (const { answer } of await askEverySet(dependencies, (broker) => broker.listGroups())) {
      for (const group of answer) if (!groups.has(group.name)) groups.set(group.name, group);
    }
    return groups;
  }

  return {
    async CreateGroup(_call, { name = '', settings }) {
      checkKey(name, checkGroupName);
      const { fifo = false, maxAttempts = 0, backoffMs = [], consume = 0, fromEarliest = false } = settings ?? {};
      const { liteTopic = '', liteExclusive = false } = settings ?? {};
      checkNumbers(maxAttempts, backoffMs);
      if (consume < 0 || consume > CONSUME_MODES.length) {
        refuse('BAD_REQUEST', 'There is no such way to consume. Choose shared, exclusive or broadcasting.');
      }
      const known = await askEverySet(dependencies, (broker) => broker.ensureGroup(name, false));
      // What is left out stays as it is; a new group gets the defaults.
      const before = known.find(({ answer }) => answer.value !== undefined)?.answer.value ?? NEW_GROUP;
      const request = {
        name,
        fifo,
        maxAttempts: maxAttempts === 0 ? before.maxAttempts : maxAttempts,
        backoffMs: backoffMs.length === 0 ? before.backoff.delaysMs : backoffMs,
        consume: consume === 0 ? before.consume : CONSUME_MODES[consume - 1]!,
        from: fromEarliest ? ('earliest' as const) : ('latest' as const),
        ...(liteTopic !== '' && { lite: { topic: liteTopic, exclusive: liteExclusive } }),
      };
      const answers = await askEverySet(dependencies, (broker) => broker.putGroup(request));
      const refused = answers.find(({ answer }) => answer.fault !== undefined)?.answer.fault;
      if (refused !== undefined) throw new FaultError(refused);
      dependencies.groupChanged(name);
      return { group: infoOf(answers[0]!.answer.value!) };
    },

    async ListGroups(_call, request) {
      const sorted = [...(await allGroups()).values()].sort(byName);
      const { items, nextPage } = pageOf(sorted, (group) => group.name, request);
      return { groups: items.map(infoOf), nextPage };
    },

    async DescribeGroup(_call, { name = '' }) {
      checkKey(name, checkGroupName);
      const answers = await askEverySet(dependencies, (broker) => broker.ensureGroup(name, false));
      const group = answers.find(({ answer }) => answer.value !== undefined)?.answer.value;
      if (group === undefined) throw new FaultError(answers[0]!.answer.fault!);
      const clients = (await dependencies.clients({ group: name })).map(
        ({ clientId, language, version, peer }): ClientInfo => ({ clientId, language, version, peer }),
      );
      return { group: infoOf(group), subscriptions: await lagOf(dependencies, name), clients };
    },

    async DeleteGroup(_call, { name = '' }) {
      checkKey(name, checkGroupName);
      refuseWhileSetsAreAway(dependencies);
      const faults = (await askEverySet(dependencies, (broker) => broker.deleteGroup(name))).map(
        ({ answer }) => answer,
      );
      // A group that only some sets had is deleted when these have deleted it.
      const refused = faults.find((each) => each !== undefined && each.error !== 'CONSUMER_GROUP_NOT_FOUND');
      if (refused !== undefined) throw new FaultError(refused);
      const [first] = faults;
      if (first !== undefined && !faults.includes(undefined)) throw new FaultError(first);
      return {};
    },

    async GetLag(_call, { group = '', topic = '' }) {
      const lags = await lagOf(dependencies, group);
      return { subscriptions: topic === '' ? lags : lags.filter((each) => each.topic === topic) };
    },
  };
}

/** A set that keeps the group would give it back to the others. */
function refuseWhileSetsAreAway({ cluster }: AdminDependencies): void {
  const away = cluster.entries().find(({ set }) => !cluster.master(set)?.reachable);
  if (away === undefined) return;
  refuse('HA_NOT_AVAILABLE', `Broker set ${away.set} has no master and would keep the group. Repeat when it is back.`);
}

function checkNumbers(maxAttempts: number, backoffMs: readonly number[]): void {
  if (maxAttempts < 0 || maxAttempts > LIMITS.maxAttempts) {
    refuse('BAD_REQUEST', `A message can have 1 to ${LIMITS.maxAttempts} attempts. Choose another number.`);
  }
  if (backoffMs.length > LIMITS.maxAttempts) {
    refuse('BAD_REQUEST', `The backoff can have ${LIMITS.maxAttempts} delays. Give fewer; the last one repeats.`);
  }
  if (backoffMs.some((delayMs) => delayMs < 0 || delayMs > LIMITS.invisibleMaxMs)) {
    refuse('BAD_REQUEST', `A delay of the backoff must be 0 to ${LIMITS.invisibleMaxMs} ms. Choose another one.`);
  }
}
