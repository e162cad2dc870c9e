// Creating and deleting a topic on every broker set, and what the many answers come to. A set that is out of reach does
// not keep a topic from being created on the others, for producers must go on while a set fails over; deleting needs
// all of them, or the topic would come back with the set that was missing.
import type { BrokerApi, TopicDescription, TopicRequest } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import type { Cluster, TopicRoute } from '@fulmar/core/route.ts';

export interface NamedBroker {
  readonly set: string;
  readonly api: BrokerApi;
}

/** Told at each answer that has changed something: what the set has of the topic now. */
export type OnAnswer = (set: string, name: string, topic: TopicDescription | undefined) => void;

const ANSWER_WITHIN_MS = 5_000;

export async function putTopicOn(
  brokers: readonly NamedBroker[],
  request: TopicRequest,
  timers: Timers,
  onAnswer: OnAnswer,
): Promise<Outcome<TopicDescription>> {
  if (brokers.length === 0) return NO_BROKER;
  const outcomes = await Promise.all(
    brokers.map(async ({ set, api }) => {
      const outcome = await within(set, api.putTopic(request), timers);
      if (outcome.fault === undefined) onAnswer(set, request.name, outcome.value);
      return outcome;
    }),
  );
  const refusal = outcomes.find((outcome) => outcome.fault !== undefined && !isAbsence(outcome.fault));
  if (refusal !== undefined) return refusal;
  return outcomes.find((outcome) => outcome.fault === undefined) ?? outcomes[0]!;
}

/** `missing` are sets that have the topic, or may have it, and no known master. */
export async function deleteTopicOn(
  brokers: readonly NamedBroker[],
  missing: readonly string[],
  name: string,
  timers: Timers,
  onAnswer: OnAnswer,
): Promise<Fault | undefined> {
  if (brokers.length === 0) return NO_BROKER.fault;
  if (missing.length > 0) {
    const text =
      `The broker set ${missing[0]!} has this topic and no master at the moment. Repeat the request when it is back; ` +
      'if it is gone for good, spread the topic over the others first (fulmar topic spread).';
    return fault('HA_NOT_AVAILABLE', text);
  }
  const faults = await Promise.all(
    brokers.map(async ({ set, api }) => {
      const outcome = await within(set, api.deleteTopic(name).then(asOutcome), timers);
      if (outcome.fault === undefined || outcome.fault.error === 'TOPIC_NOT_FOUND') onAnswer(set, name, undefined);
      return outcome.fault;
    }),
  );
  const refusal = faults.find((candidate) => candidate !== undefined && candidate.error !== 'TOPIC_NOT_FOUND');
  // A topic that only some sets had is deleted when these have deleted it.
  return refusal ?? (faults.includes(undefined) ? undefined : faults[0]);
}

function asOutcome(reason: Fault | undefined): Outcome<undefined> {
  return reason === undefined ? success(undefined) : { fault: reason };
}

function isAbsence(of: Fault): boolean {
  return of.error === 'HA_NOT_AVAILABLE' || of.error === 'NOT_MASTER' || of.error === 'PROXY_TIMEOUT';
}

function absence(set: string): Fault {
  return fault('HA_NOT_AVAILABLE', `The broker set ${set} has no master at the moment. Repeat the request.`);
}

/** The answer, or a fault when there is none in time or the connection is lost. */
function within<T>(set: string, answer: Promise<Outcome<T>>, timers: Timers): Promise<Outcome<T>> {
  return new Promise((resolve) => {
    const timer = timers.after(ANSWER_WITHIN_MS, () => {
      resolve(failure('PROXY_TIMEOUT', `The broker set ${set} did not answer in time. Repeat the request.`));
    });
    const settle = (outcome: Outcome<T>): void => {
      timer.cancel();
      resolve(outcome);
    };
    answer.then(settle, () => settle({ fault: absence(set) }));
  });
}

const NO_BROKER = failure('HA_NOT_AVAILABLE', 'No broker set has a master at the moment. Repeat the request.');

/** What sets that get a LITE topic later need to know about it, from one that has it; nothing for other topics. */
export async function liteExpirationOf(
  { broker }: Pick<Cluster, 'broker'>,
  { topic, type, shares }: TopicRoute,
): Promise<Pick<TopicRequest, 'liteExpirationMs'>> {
  if (type !== 'lite') return {};
  for (const { set } of shares) {
    const { value } =
      (await broker(set)
        ?.describeTopic(topic)
        .catch(() => undefined)) ?? {};
    if (value !== undefined) return { liteExpirationMs: value.liteExpirationMs ?? 0 };
  }
  return {};
}
