// What the handlers of fulmar.v1.Admin share: calls to all broker sets, names that administrators write, and pages of
// lists. A handler that cannot do what it is asked throws a FaultError, which the transport turns into a gRPC status.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault, success } from '@fulmar/core/errors.ts';
import { checkNamespace, splitResourceKey } from '@fulmar/core/names.ts';
import type { Logger, Timers } from '@fulmar/core/ports.ts';
import type { Cluster } from '@fulmar/core/route.ts';
import type { ClientView, Selection } from '../clients/roster.ts';
import { unwrap } from './answering.ts';
import { answerWithin } from './masters.ts';

/** What it takes to ask brokers. */
export interface Asking {
  readonly cluster: Cluster;
  readonly timers: Timers;
  readonly logger: Logger;
}

export interface AdminDependencies extends Asking {
  readonly clusterName: string;
  /** Version of this proxy. */
  readonly version: string;
  clients(selection?: Selection): Promise<readonly ClientView[]>;
  groupChanged(group: string): void;
}

const ANSWER_WITHIN_MS = 5_000;
export const PAGE_SIZE_MAX = 1_000;

export function refuse(error: Fault['error'], message: string): never {
  throw new FaultError(fault(error, message));
}

export interface SetAnswer<T> {
  readonly set: string;
  readonly answer: T;
}

/** The answers of all broker sets, in their order; one that is lost or silent throws a FaultError. */
export function askEverySet<T>(
  dependencies: Asking,
  ask: (broker: BrokerApi) => Promise<T>,
): Promise<readonly SetAnswer<T>[]> {
  const brokers = dependencies.cluster.brokers();
  if (brokers.length === 0) refuse('HA_NOT_AVAILABLE', 'No broker is known at the moment. Repeat the request.');
  return Promise.all(
    brokers.map(async ({ set, api }) => ({ set, answer: await answerInTime(dependencies, set, () => ask(api)) })),
  );
}

/** The broker's answer; one that is lost or silent throws a FaultError. */
export async function answerInTime<T>(dependencies: Asking, set: string, ask: () => Promise<T>): Promise<T> {
  return unwrap(await answerWithin(dependencies, set, ANSWER_WITHIN_MS, async () => success(await ask())));
}

/** Checks `name` or `namespace/name`. */
export function checkKey(key: string, checkName: (name: string) => Fault | undefined): void {
  const { namespace, name } = splitResourceKey(key);
  const found = checkName(name) ?? checkNamespace(namespace);
  if (found !== undefined) throw new FaultError(found);
  if (key.startsWith('/')) refuse('BAD_REQUEST', 'The namespace before "/" is empty. Leave out the "/", or name one.');
}

export interface PageRequest {
  readonly prefix?: string;
  readonly pageSize?: number;
  readonly page?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPage: string;
}

/** One page of a list that is sorted by name; the token of a page is the last name of the one before. */
export function pageOf<T>(sorted: Iterable<T>, nameOf: (item: T) => string, request: PageRequest): Page<T> {
  const { prefix = '', page = '', pageSize = 0 } = request;
  const size = pageSize <= 0 || pageSize > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : pageSize;
  const items: T[] = [];
  for (const item of sorted) {
    const name = nameOf(item);
    if (!name.startsWith(prefix) || (page !== '' && name <= page)) continue;
    if (items.length === size) return { items, nextPage: nameOf(items[size - 1]!) };
    items.push(item);
  }
  return { items, nextPage: '' };
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
