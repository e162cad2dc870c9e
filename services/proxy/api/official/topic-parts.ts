// The parts of a topic, each asked of the master of its broker set. One that has no master refuses the whole question:
// an answer that leaves a part out would look as if it were all.
import type { BrokerApi, TopicStatus } from '@fulmar/core/broker-api.ts';
import { type Outcome, success } from '@fulmar/core/errors.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { answerInTime, refuse } from '../admin-context.ts';
import { unwrap } from '../answering.ts';
import type { ProxyContext } from '../context.ts';

/** Asks the master of a set; a fault, also that there is none, is thrown. */
export async function askSet<T>(
  context: ProxyContext,
  set: string,
  ask: (broker: BrokerApi) => Promise<Outcome<T>>,
): Promise<T> {
  const broker = context.cluster.broker(set);
  if (broker === undefined) {
    refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat the request.`);
  }
  return unwrap(await answerInTime(context, set, () => ask(broker)));
}

export interface TopicPart {
  readonly set: string;
  readonly status: TopicStatus;
}

export function statusOnSets(context: ProxyContext, { topic, shares }: TopicRoute): Promise<readonly TopicPart[]> {
  return Promise.all(
    shares.map(async ({ set }) => ({
      set,
      status: await askSet(context, set, (broker) => broker.describeTopic(topic)),
    })),
  );
}

/** The time of storing of the message at an offset; undefined if none is kept there. */
export async function storedAtMs(
  context: ProxyContext,
  set: string,
  topic: string,
  queueId: number,
  offset: number,
): Promise<number | undefined> {
  const window = { offset, maxMessages: 1, maxBytes: 1, filter: {}, waitMs: 0 };
  const found = await askSet(context, set, async (broker) => {
    const outcome = await broker.pull({ topic, queueId, ...window });
    // Retention or the end of the queue: nothing is there.
    return outcome.fault?.error === 'ILLEGAL_OFFSET' ? success(undefined) : outcome;
  });
  return found?.messages.find(({ queueOffset }) => queueOffset === offset)?.storedAtMs;
}
