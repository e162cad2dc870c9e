// Calls to the master of a broker set. Masters change: a call that meets no master, or a broker that is none any more,
// waits a moment for the next one and is repeated once; a lost connection is not, because its call may have been done.

import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type { ProxyDependencies } from './dependencies.ts';

/** The longest wait for a new master; short enough that a client's call of 3 s still gets its answer. */
const WAIT_FOR_MASTER_MS = 1_500;

type Needs = Pick<ProxyDependencies, 'cluster' | 'timers' | 'logger'>;

export function noMaster(set: string): { readonly fault: Fault } {
  return failure('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat the request in a second.`);
}

export function lostBroker(needs: Needs, set: string, thrown: unknown): { readonly fault: Fault } {
  needs.logger.warn('a call to a broker failed', { set, error: String(thrown) });
  return failure('HA_NOT_AVAILABLE', `The connection to broker set ${set} was lost. Repeat the request in a second.`);
}

/** The broker's answer; a fault if there is none in time or the connection is lost. Never rejects. */
export async function answerWithin<T>(
  needs: Needs,
  set: string,
  limitMs: number,
  ask: () => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const tooLate = Promise.withResolvers<Outcome<T>>();
  const timer = needs.timers.after(limitMs, () => {
    tooLate.resolve(failure('PROXY_TIMEOUT', `Broker set ${set} did not answer in time. Repeat the request.`));
  });
  try {
    return await Promise.race([ask(), tooLate.promise]);
  } catch (thrown) {
    return lostBroker(needs, set, thrown);
  } finally {
    timer.cancel();
  }
}

/**
 * Asks the master of `set`. `faultIn` finds in the answer the fault that concerns the whole call, so that NOT_MASTER is
 * noticed. Never rejects.
 */
export async function askMaster<Answer>(
  needs: Needs,
  set: string,
  ask: (broker: BrokerApi) => Promise<Answer>,
  faultIn: (answer: Answer) => Fault | undefined,
): Promise<Outcome<Answer>> {
  let refused: BrokerApi | undefined;
  for (let attempt = 1; ; attempt++) {
    const broker = needs.cluster.broker(set);
    if (broker !== undefined && broker !== refused) {
      try {
        const answer = await ask(broker);
        if (attempt > 1 || faultIn(answer)?.error !== 'NOT_MASTER') return success(answer);
        refused = broker;
      } catch (thrown) {
        return lostBroker(needs, set, thrown);
      }
    }
    if (attempt > 1) return noMaster(set);
    await masterOtherThan(needs, set, refused);
  }
}

/** Resolves when the set has a master that is not `refused`, or when it has taken too long. */
function masterOtherThan(needs: Needs, set: string, refused: BrokerApi | undefined): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const broker = needs.cluster.broker(set);
      if (broker !== undefined && broker !== refused) finish();
    };
    const stop = needs.cluster.onChange(look);
    const timer = needs.timers.after(WAIT_FOR_MASTER_MS, () => finish());
    const finish = (): void => {
      timer.cancel();
      stop();
      resolve();
    };
    look();
  });
}

/** The set of this hash, whether it has a master at the moment or not; undefined if the cluster has none such. */
export function setByHash(
  needs: Pick<ProxyDependencies, 'cluster'>,
  topic: string,
  setHash: number,
): string | undefined {
  for (const { set } of needs.cluster.route(topic)?.shares ?? []) if (setHashOf(set) === setHash) return set;
  for (const { set } of needs.cluster.brokers()) if (setHashOf(set) === setHash) return set;
  for (const { set } of needs.cluster.entries()) if (setHashOf(set) === setHash) return set;
  return undefined;
}
