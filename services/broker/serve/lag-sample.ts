// The lag of every subscription, for metrics. Counting costs no look into the log; how long the oldest message waits
// does, so that is looked up only for so many subscriptions, those with the largest backlog first. Those that metrics
// have no series for are one sum, which is cheaper than ten thousand observations that end up in one.
import { LIMITS } from '@fulmar/core/limits.ts';
import { OVERFLOW } from '@fulmar/runtime/metrics.ts';
import type { Subscription } from '../state/subscription.ts';
import { type Backlog, backlogOf, type Insight, type Waiting } from './insight.ts';

export interface LagSample extends Backlog {
  readonly group: string;
  readonly topic: string;
  /** Undefined if there was no look to spare for it. */
  readonly waiting: Waiting | undefined;
}

const NO_WAIT: Waiting = { lagMs: 0, queueingMs: 0 };

export interface LagSampleLimits {
  /** Subscriptions that are looked up in the log. */
  readonly looks: number;
  /** Subscriptions that have a sample of their own. */
  readonly series: number;
}

const LIMITS_OF_METRICS: LagSampleLimits = { looks: LIMITS.lagLooks, series: LIMITS.metricSeries };

/**
 * Of what groups read: each item is one group in one topic, with all the places that it has there. Those with the
 * largest backlog first.
 */
export async function sampleLag(
  read: Iterable<readonly Subscription[]>,
  insight: Pick<Insight, 'waiting'>,
  { looks, series }: LagSampleLimits = LIMITS_OF_METRICS,
): Promise<readonly LagSample[]> {
  const counted = [...read].map((subscriptions) => {
    const backlog = sumOf(subscriptions.map(backlogOf));
    return { subscriptions, backlog, unsettled: backlog.readyMessages + backlog.inFlightMessages };
  });
  counted.sort((a, b) => b.unsettled - a.unsettled);
  const samples: LagSample[] = [];
  let looked = 0;
  for (const { subscriptions, backlog, unsettled } of counted.slice(0, series)) {
    const { group, topic } = subscriptions[0]!;
    let waiting: Waiting | undefined = NO_WAIT;
    if (unsettled > 0) {
      waiting = looked + subscriptions.length <= looks ? await longestOf(subscriptions, insight) : undefined;
      looked += subscriptions.length;
    }
    samples.push({ group: group.name, topic: topic.name, ...backlog, waiting });
  }
  const rest = sumOf(counted.slice(series).map(({ backlog }) => backlog));
  if (counted.length > series) samples.push({ group: OVERFLOW, topic: OVERFLOW, ...rest, waiting: undefined });
  return samples;
}

function sumOf(backlogs: readonly Backlog[]): Backlog {
  const sum = { readyMessages: 0, inFlightMessages: 0 };
  for (const { readyMessages, inFlightMessages } of backlogs) {
    sum.readyMessages += readyMessages;
    sum.inFlightMessages += inFlightMessages;
  }
  return sum;
}

async function longestOf(subscriptions: readonly Subscription[], insight: Pick<Insight, 'waiting'>): Promise<Waiting> {
  let longest = NO_WAIT;
  for (const subscription of subscriptions) {
    const { lagMs, queueingMs } = await insight.waiting(subscription);
    longest = { lagMs: Math.max(lagMs, longest.lagMs), queueingMs: Math.max(queueingMs, longest.queueingMs) };
  }
  return longest;
}
