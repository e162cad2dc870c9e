// The consumer groups that clients of this proxy use. A group is known on every broker set or is made known there; what
// was learnt is used for some seconds without asking again and, while it is asked anew, a little longer. What is new is
// told to listeners, who send the clients new settings.
import type { GroupDescription, GroupRequest } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { DEFAULT_BACKOFF_MS, DEFAULT_MAX_ATTEMPTS } from '@fulmar/core/group-defaults.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { answerWithin, isAbsence } from './masters.ts';

const FRESH_MS = 5_000;
/** Behind this age an answer is not used while a new one is fetched. */
const USABLE_MS = 60_000;
const REMEMBER_MISSING_MS = 1_000;
/** One silent broker must not keep the clients of all others waiting. */
const ANSWER_WITHIN_MS = 2_000;
const REMEMBERED_MAX = 20_000;

interface Entry {
  askedAtMs: number;
  outcome: Outcome<GroupDescription>;
}

/** The part of a group that its clients hear of. */
export type GroupAsTold = Pick<GroupDescription, 'fifo' | 'maxAttempts' | 'backoff'>;

export interface Groups {
  /** What is known at once, perhaps a minute old; never waits. Starts asking when it is older than some seconds. */
  peek(key: string): GroupDescription | undefined;
  /** The group, made if it does not exist and may be. */
  /** With `liteTopic` a new one is bound to that LITE topic. */
  ensure(key: string, liteTopic?: string): Promise<Outcome<GroupDescription>>;
  /** Forgets what is known, because a broker said otherwise. */
  forget(key: string): void;
  /** Asks anew, and gives the group to the sets that lack it and are there. */
  renew(key: string): Promise<Outcome<GroupDescription>>;
  /** Asks anew about a group that is in use, because it was just changed. */
  refresh(key: string): void;
  /** The listener hears of each group when it becomes known and when it turns out to have changed. */
  onNews(listener: (group: GroupDescription) => void): void;
}

export function createGroups(dependencies: ProxyDependencies): Groups {
  const { cluster, clock, config } = dependencies;
  const entries = new Map<string, Entry>();
  const asking = new Map<string, Promise<Outcome<GroupDescription>>>();
  const listeners: ((group: GroupDescription) => void)[] = [];

  function usable(key: string): GroupDescription | undefined {
    const entry = entries.get(key);
    if (entry?.outcome.value === undefined) return undefined;
    const ageMs = clock.monotonicMs() - entry.askedAtMs;
    if (ageMs >= USABLE_MS) return undefined;
    if (ageMs >= FRESH_MS) void ask(key);
    return entry.outcome.value;
  }

  function ensure(key: string, liteTopic?: string): Promise<Outcome<GroupDescription>> {
    const known = usable(key);
    if (known !== undefined) return Promise.resolve(success(known));
    const entry = entries.get(key);
    if (entry?.outcome.fault !== undefined && clock.monotonicMs() - entry.askedAtMs < REMEMBER_MISSING_MS) {
      return Promise.resolve(entry.outcome);
    }
    return ask(key, liteTopic);
  }

  function ask(key: string, liteTopic?: string): Promise<Outcome<GroupDescription>> {
    let question = asking.get(key);
    if (question === undefined) {
      question = askBrokers(key, liteTopic)
        .then((outcome) => remember(key, outcome))
        .finally(() => asking.delete(key));
      asking.set(key, question);
    }
    return question;
  }

  function remember(key: string, outcome: Outcome<GroupDescription>): Outcome<GroupDescription> {
    const before = entries.get(key)?.outcome.value;
    // A broker that cannot be asked for a moment does not unmake a group that was there.
    if (before !== undefined && outcome.fault !== undefined && outcome.fault.error !== 'CONSUMER_GROUP_NOT_FOUND') {
      return success(before);
    }
    // Who is back may be asked at once.
    if (isAbsence(outcome.fault)) return outcome;
    entries.delete(key);
    if (entries.size >= REMEMBERED_MAX) entries.delete(entries.keys().next().value!);
    entries.set(key, { askedAtMs: clock.monotonicMs(), outcome });
    if (outcome.value !== undefined && (before === undefined || !sameToClients(before, outcome.value))) {
      for (const listener of listeners) listener(outcome.value);
    }
    return outcome;
  }

  async function askBrokers(key: string, liteTopic?: string): Promise<Outcome<GroupDescription>> {
    const brokers = cluster.brokers();
    if (brokers.length === 0) {
      return { fault: fault('HA_NOT_AVAILABLE', 'No broker is known at the moment. Repeat the request in a second.') };
    }
    const askAll = (create: boolean): Promise<Outcome<GroupDescription>[]> =>
      Promise.all(
        brokers.map(({ set, api }) =>
          answerWithin(dependencies, set, ANSWER_WITHIN_MS, () => api.ensureGroup(key, create)),
        ),
      );
    let answers = await askAll(false);
    const isMissing = (answer: Outcome<GroupDescription>): boolean =>
      answer.fault?.error === 'CONSUMER_GROUP_NOT_FOUND';
    if (config.autoCreate && answers.every(isMissing))
      answers = await (liteTopic === undefined ? askAll(true) : makeLite(key, liteTopic));
    const known = answers.find((answer) => answer.value !== undefined)?.value;
    if (known !== undefined) {
      // A broker set that joined later gets the group as the others have it, not one with default settings.
      const request = { ...known, backoffMs: known.backoff.delaysMs };
      const lacking = brokers.filter((_, i) => isMissing(answers[i]!));
      await Promise.all(
        lacking.map(({ set, api }) => answerWithin(dependencies, set, ANSWER_WITHIN_MS, () => api.putGroup(request))),
      );
      return success(known);
    }
    const faults = answers.map((answer) => answer.fault as Fault);
    return { fault: faults.find((each) => each.error !== 'CONSUMER_GROUP_NOT_FOUND') ?? faults[0]! };
  }

  /** Makes a group with default settings on all broker sets, bound to the LITE topic. */
  function makeLite(name: string, topic: string): Promise<Outcome<GroupDescription>[]> {
    const request: GroupRequest = {
      name,
      fifo: false,
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoffMs: DEFAULT_BACKOFF_MS,
      consume: 'shared',
      from: 'latest',
      lite: { topic, exclusive: false },
    };
    return Promise.all(
      cluster
        .brokers()
        .map(({ set, api }) => answerWithin(dependencies, set, ANSWER_WITHIN_MS, () => api.putGroup(request))),
    );
  }

  return {
    peek: usable,
    ensure,
    forget: (key) => {
      entries.delete(key);
    },
    renew: (key) => ask(key),
    refresh: (key) => {
      if (entries.has(key)) void ask(key);
    },
    onNews: (listener) => {
      listeners.push(listener);
    },
  };
}

/** Whether two descriptions of one group lead to the same settings. */
export function sameToClients(a: GroupAsTold, b: GroupAsTold): boolean {
  return (
    a.fifo === b.fifo &&
    a.maxAttempts === b.maxAttempts &&
    a.backoff.delaysMs.length === b.backoff.delaysMs.length &&
    a.backoff.delaysMs.every((delayMs, i) => delayMs === b.backoff.delaysMs[i])
  );
}
