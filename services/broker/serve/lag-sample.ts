// The lag of every subscription, for metrics. Counting costs no look into the log; how long the oldest message waits
// does, so that is looked up only for so many subscriptions, those with the largest backlog first. Those that metrics
// have no series for are one sum, which is cheaper than ten thousand observations that end up in one.
import { LIMITS } from '@fulmar/core/limits.ts';
import { OVERFLOW } from '@fulmar/runtime/metrics.ts';
import type { Subscription } from '../state/subscription.ts';
import { type Backlog, backlogOf, byName, type Insight, type Waiting } from './insight.ts';

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

/** Those with the largest backlog first. */
export async function sampleLag(
  subscriptions: Iterable<Subscription>,
  insight: Pick<Insight, 'waiting'>,
  { looks, series }: LagSampleLimits = LIMITS_OF_METRICS,
): Promise<readonly LagSample[]> {
  const counted = byName(subscriptions).map((together) => {
    const backlog = { readyMessages: 0, inFlightMessages: 0 };
    for (const { readyMessages, inFlightMessages } of together.map(backlogOf)) {
      backlog.readyMessages += readyMessages;
      backlog.inFlightMessages += inFlightMessages;
    }
    return { together, backlog, unsettled: backlog.readyMessages + backlog.inFlightMessages };
  });
  counted.sort((a, b) => b.unsettled - a.unsettled);
  const samples: LagSample[] = [];
  let looksLeft = looks;
  for (const { together, backlog, unsettled } of counted.slice(0, series)) {
    const { group, topic } = together[0]!;
    const mayLook = together.length <= looksLeft;
    if (mayLook) looksLeft -= together.length;
    const waiting = unsettled === 0 ? NO_WAIT : mayLook ? await longest(together, insight) : undefined;
    samples.push({ group: group.name, topic: topic.name, ...backlog, waiting });
  }
  const rest = { readyMessages: 0, inFlightMessages: 0 };
  for (const { backlog } of counted.slice(series)) {
    rest.readyMessages += backlog.readyMessages;
    rest.inFlightMessages += backlog.inFlightMessages;
  }
  if (counted.length > series) samples.push({ group: OVERFLOW, topic: OVERFLOW, ...rest, waiting: undefined });
  return samples;
}

async function longest(together: readonly Subscription[], insight: Pick<Insight, 'waiting'>): Promise<Waiting> {
  const longest = { lagMs: 0, queueingMs: 0 };
  for (const subscription of together) {
    const { lagMs, queueingMs } = await insight.waiting(subscription);
    longest.lagMs = Math.max(longest.lagMs, lagMs);
    longest.queueingMs = Math.max(longest.queueingMs, queueingMs);
  }
  return longest;
}
