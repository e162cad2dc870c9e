// Calls to the master of a broker set through a change of master: the client notices a longer answer and nothing else.
// A call that was refused waits for the next master as long as its client does; a call of which nobody knows whether
// it took effect is repeated once, at the same set. That does no harm, because of what each call does the second time:
//
//   call               when the first one has taken effect after all
//   send               the message id is known, also to a new master: answered with the place of the first
//   ack                the message is settled: done
//   change invisible   the time begins anew; if the message is with another consumer already, the handle is void
//   dead letter        the lease is over: INVALID_RECEIPT_HANDLE, which the client hears as OK
//   end transaction    the same decision again: answered as the first
//   pop                with an attempt id: the same messages; without one they come again after their lease (poll.ts)
//   group, topic       exists: the same answer (groups.ts, topics.ts)
//
// Giving back, reports of clients and deletions are not repeated here: leases end by themselves, the next report says
// the same, and who deletes hears of a fault and repeats.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { type Fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { Master } from '@fulmar/core/route.ts';
import type { ProxyDependencies } from './dependencies.ts';
import {
  type Failed,
  failedNow,
  isAbsence,
  isRefusal,
  isUnknown,
  lostBroker,
  masterToAsk,
  noMaster,
} from './masters.ts';
import type { Patience } from './patience.ts';

export interface Question<Answer> {
  /** Any of them may answer, the first one best. */
  readonly sets: readonly string[];
  ask(broker: BrokerApi): Promise<Answer>;
  /** Of every part of the answer. */
  faultsOf(answer: Answer): readonly (Fault | undefined)[];
  readonly patience: Patience;
}

type Needs = Pick<ProxyDependencies, 'cluster' | 'clock' | 'logger'>;

/** Never rejects. Nearly always the first master answers and that is all; the rest is for when it does not. */
export function askMaster<Answer>(needs: Needs, question: Question<Answer>): Promise<Outcome<Answer>> {
  const first = firstToAsk(needs, question.sets, undefined);
  if (first === undefined) return keepAsking(needs, question, undefined);
  return ask(needs, question, first, (asked) =>
    asked.verdict === 'done' ? asked.outcome : keepAsking(needs, question, asked),
  );
}

async function keepAsking<Answer>(
  needs: Needs,
  question: Question<Answer>,
  before: Asked<Answer> | undefined,
): Promise<Outcome<Answer>> {
  const { cluster, clock } = needs;
  const { patience } = question;
  let { sets } = question;
  let failures: Map<string, Failed> | undefined;
  /** What to answer if nothing better comes. */
  let refused: Outcome<Answer> | undefined;
  let unknown: Outcome<Answer> | undefined;
  let asked = before;
  for (;;) {
    if (asked !== undefined) {
      const { set, master, outcome, verdict } = asked;
      if (verdict === 'done' || (verdict === 'unknown' && unknown !== undefined)) return outcome;
      failures ??= new Map();
      failures.set(set, failedNow(cluster, set, master, clock.monotonicMs()));
      if (verdict === 'refused') refused = outcome;
      else {
        unknown = outcome;
        // Another set would store a second one.
        sets = [set];
      }
      asked = undefined;
    }
    if (failures !== undefined && patience.isOver) break;
    const found = firstToAsk(needs, sets, failures);
    if (found !== undefined) asked = await ask(needs, question, found, (after) => after);
    else if (patience.isOver) break;
    else await patience.change();
  }
  return unknown ?? refused ?? noMaster(sets[0]!);
}

/** Asks until brokers are there to answer, or patience ends. */
export async function whileAbsent<T>(patience: Patience, ask: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  for (;;) {
    const outcome = await ask();
    if (!isAbsence(outcome.fault) || patience.isOver) return outcome;
    await patience.change();
  }
}

interface Found {
  readonly set: string;
  readonly master: Master;
}

function firstToAsk(
  { cluster, clock }: Needs,
  sets: readonly string[],
  failures: ReadonlyMap<string, Failed> | undefined,
): Found | undefined {
  for (const set of sets) {
    const master = masterToAsk(cluster, set, failures?.get(set), failures === undefined ? 0 : clock.monotonicMs());
    if (master !== undefined) return { set, master };
  }
  return undefined;
}

interface Asked<Answer> extends Found {
  readonly outcome: Outcome<Answer>;
  readonly verdict: 'done' | 'refused' | 'unknown';
}

/** Goes on with `then` in the same step, because each step of a promise more is felt by every message. */
function ask<Answer, Result>(
  needs: Needs,
  question: Question<Answer>,
  { set, master }: Found,
  then: (asked: Asked<Answer>) => Result | Promise<Result>,
): Promise<Result> {
  const lost = (thrown: unknown) => then({ set, master, outcome: lostBroker(needs, set, thrown), verdict: 'unknown' });
  try {
    return question.ask(master.api).then((answer) => then(judge(question, set, master, answer)), lost);
  } catch (thrown) {
    return Promise.resolve(lost(thrown));
  }
}

function judge<Answer>(question: Question<Answer>, set: string, master: Master, answer: Answer): Asked<Answer> {
  const faults = question.faultsOf(answer);
  if (!faults.some((each) => isRefusal(each) || isUnknown(each))) {
    return { set, master, outcome: success(answer), verdict: 'done' };
  }
  const verdict = faults.every(isRefusal) ? 'refused' : 'unknown';
  const isDeposed = verdict === 'refused' && faults.some((each) => each?.error === 'NOT_MASTER');
  return { set, master, outcome: isDeposed ? noMaster(set) : success(answer), verdict };
}
