// What a consumer of a group that is not shared has to do before its first receive: it tells every broker set of the
// topic that it is there, so that its place, or its share of the queues, begins everywhere at the same moment. The
// answers are kept with its session, for the time in which a set cannot be asked.
import type { JoinCommand } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import type { Session } from '../clients/sessions.ts';
import type { ProxyContext } from './context.ts';
import { answerWithin, masterToAsk } from './masters.ts';

const ANSWER_WITHIN_MS = 1_000;

/** By set, the queues that belong to the client there; undefined if it may be handed messages of all of them. */
export type Joined = ReadonlyMap<string, readonly number[] | undefined>;

function keyOf({ group, topic }: JoinCommand): string {
  return `${group}\n${topic}`;
}

/** Asks every set. A set that does not answer is as it was before, and asked again by the next receive. */
export async function join(
  context: ProxyContext,
  session: Session,
  route: TopicRoute,
  command: JoinCommand,
): Promise<Joined> {
  const { cluster } = context;
  const before = session.joined.get(keyOf(command));
  const answers = await Promise.all(
    route.shares.map(async ({ set }) => {
      const master = masterToAsk(cluster, set, undefined, 0);
      if (master === undefined) return { set, outcome: undefined };
      return { set, outcome: await answerWithin(context, set, ANSWER_WITHIN_MS, () => master.api.join(command)) };
    }),
  );
  const joined = new Map<string, readonly number[] | undefined>();
  for (const { set, outcome } of answers) {
    if (outcome !== undefined && outcome.fault === undefined) joined.set(set, outcome.value);
    else if (before?.has(set)) joined.set(set, before.get(set));
  }
  if (session.joined.size >= LIMITS.subscriptionsPerClient) session.joined.clear();
  session.joined.set(keyOf(command), joined);
  return joined;
}

/** Before a receive: only if there is a set of the topic that does not know of the client yet. */
export async function joinOnce(
  context: ProxyContext,
  session: Session,
  route: TopicRoute,
  command: JoinCommand,
): Promise<void> {
  const known = session.joined.get(keyOf(command));
  if (route.shares.every(({ set }) => known?.has(set))) return;
  await join(context, session, route, command);
}
