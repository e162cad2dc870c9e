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

/** Never rejects. */
export async function askMaster<Answer>(needs: Needs, question: Question<Answer>): Promise<Outcome<Answer>> {
  const { cluster, clock } = needs;
  const { patience } = question;
  let { sets } = question;
  let failures: Map<string, Failed> | undefined;
  /** What to answer if nothing better comes. */
  let refused: Outcome<Answer> | undefined;
  let unknown: Outcome<Answer> | undefined;
  for (;;) {
    if (failures !== undefined && patience.isOver) break;
    const found = firstToAsk(needs, sets, failures);
    if (found === undefined) {
      if (patience.isOver) break;
      await patience.change();
      continue;
    }
    const { set, master } = found;
    const { outcome, verdict } = await ask(needs, question, set, master.api);
    if (verdict === 'done' || (verdict === 'unknown' && unknown !== undefined)) return outcome;
    failures ??= new Map();
    failures.set(set, failedNow(cluster, set, master, clock.monotonicMs()));
    if (verdict === 'refused') refused = outcome;
    else {
      unknown = outcome;
      // Another set would store a second one.
      sets = [set];
    }
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

function firstToAsk(
  { cluster, clock }: Needs,
  sets: readonly string[],
  failures: ReadonlyMap<string, Failed> | undefined,
): { readonly set: string; readonly master: Master } | undefined {
  for (const set of sets) {
    const master = masterToAsk(cluster, set, failures?.get(set), failures === undefined ? 0 : clock.monotonicMs());
    if (master !== undefined) return { set, master };
  }
  return undefined;
}

type Verdict = 'done' | 'refused' | 'unknown';

async function ask<Answer>(
  needs: Needs,
  question: Question<Answer>,
  set: string,
  broker: BrokerApi,
): Promise<{ readonly outcome: Outcome<Answer>; readonly verdict: Verdict }> {
  try {
    const answer = await question.ask(broker);
    const faults = question.faultsOf(answer);
    if (!faults.some((each) => isRefusal(each) || isUnknown(each)))
      return { outcome: success(answer), verdict: 'done' };
    const verdict = faults.every(isRefusal) ? 'refused' : 'unknown';
    const isDeposed = verdict === 'refused' && faults.some((each) => each?.error === 'NOT_MASTER');
    return { outcome: isDeposed ? noMaster(set) : success(answer), verdict };
  } catch (thrown) {
    return { outcome: lostBroker(needs, set, thrown), verdict: 'unknown' };
  }
}
