// One page of the messages that all broker sets find for a question, in one order. What a page costs is bounded by the
// brokers, so that it may be empty before the end; its token says where each set goes on.
import { type Fault, FaultError } from '@fulmar/core/errors.ts';
import type { FindQuery, FoundMessage } from '@fulmar/core/finding-api.ts';
import { type Asking, answerInTime, refuse } from './admin-context.ts';
import { DONE, mergePages, readPlaces, type SetMessages, writePlaces } from './merged-pages.ts';

export type MessageOfSet = FoundMessage & { readonly set: string };

export interface SearchPage {
  readonly count: number;
  /** `nextPage` of the answer before; empty for the beginning. */
  readonly page: string;
}

export interface FoundPage {
  /** By id or key the newest first, by time the oldest first. */
  readonly messages: readonly MessageOfSet[];
  /** Empty when there is no more. */
  readonly nextPage: string;
  /** Why nothing was found, if no set has the topic. */
  readonly missing: Fault | undefined;
}

/** A set that does not have it may simply hold none of it. */
export const NOTHING_THERE: ReadonlySet<Fault['error']> = new Set(['TOPIC_NOT_FOUND', 'CONSUMER_GROUP_NOT_FOUND']);
export const BAD_PAGE = 'The page does not belong to this list. Begin anew.';

/** A set that does not answer, or refuses, throws a FaultError. */
export async function findEverywhere(
  dependencies: Asking,
  query: Omit<FindQuery, 'count' | 'page'>,
  { count, page }: SearchPage,
): Promise<FoundPage> {
  const places = readPlaces(page) ?? refuse('BAD_REQUEST', BAD_PAGE);
  const brokers = dependencies.cluster.brokers();
  if (brokers.length === 0) refuse('HA_NOT_AVAILABLE', 'No broker is known at the moment. Repeat the request.');
  const answers = await Promise.all(
    brokers
      .filter(({ set }) => places.get(set) !== DONE)
      .map(async ({ set, api }) => {
        const asked = { ...query, count, page: places.get(set) ?? 0 };
        return { set, answer: await answerInTime(dependencies, set, () => api.finding.find(asked)) };
      }),
  );
  const found: SetMessages[] = [];
  let missing: Fault | undefined;
  for (const { set, answer } of answers) {
    if (answer.fault === undefined) found.push({ set, found: answer.value });
    else if (NOTHING_THERE.has(answer.fault.error)) {
      missing = answer.fault;
      found.push({ set, found: { messages: [], next: 0 } });
    } else throw new FaultError(answer.fault);
  }
  const isMissing = missing !== undefined && answers.every(({ answer }) => answer.fault !== undefined);
  const merged = mergePages(found, places, count, query.messageId === '' && query.key === '');
  const nextPage = writePlaces(
    merged.places,
    brokers.map(({ set }) => set),
  );
  return { messages: merged.messages, nextPage, missing: isMissing ? missing : undefined };
}
