// The masters of broker sets as handlers meet them: the texts of their absence, which faults mean that a call was not
// carried out and which that nobody knows, and when it is worth asking a master that has just failed once more.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { type ErrorName, type Fault, FaultError, failure, fault, type Outcome } from '@fulmar/core/errors.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type { Cluster, Master } from '@fulmar/core/route.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { LOOK_AGAIN_MS, type Patience } from './patience.ts';

type Needs = Pick<ProxyDependencies, 'timers' | 'logger'>;

/** Brokers answer with these before anything was written: the call may be repeated anywhere. */
const REFUSED: ReadonlySet<ErrorName> = new Set(['HA_NOT_AVAILABLE', 'NOT_MASTER']);
/** Nobody knows whether the call has taken effect or will. */
const UNKNOWN: ReadonlySet<ErrorName> = new Set([
  'PROXY_TIMEOUT',
  'MASTER_PERSISTENCE_TIMEOUT',
  'SLAVE_PERSISTENCE_TIMEOUT',
]);

export function isRefusal(found: Fault | undefined): boolean {
  return found !== undefined && REFUSED.has(found.error);
}

export function isUnknown(found: Fault | undefined): boolean {
  return found !== undefined && UNKNOWN.has(found.error);
}

/** The broker was not there to answer, rather than answering no. */
export function isAbsence(found: Fault | undefined): boolean {
  return isRefusal(found) || found?.error === 'PROXY_TIMEOUT';
}

export function noMaster(set: string): { readonly fault: Fault } {
  return failure('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat the request in a second.`);
}

export function lostBroker(needs: Pick<Needs, 'logger'>, set: string, thrown: unknown): { readonly fault: Fault } {
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
    const outcome = await Promise.race([ask(), tooLate.promise]);
    return outcome.fault?.error === 'NOT_MASTER' ? noMaster(set) : outcome;
  } catch (thrown) {
    return lostBroker(needs, set, thrown);
  } finally {
    timer.cancel();
  }
}

/** A master that could not carry out a call, as it was then. */
export interface Failed {
  readonly api: BrokerApi;
  readonly epoch: number;
  readonly wasReachable: boolean;
  readonly atMs: number;
}

export function failedNow(cluster: Cluster, set: string, { api, epoch }: Master, nowMs: number): Failed {
  const now = cluster.master(set);
  return { api, epoch, wasReachable: now?.api !== api || now.reachable, atMs: nowMs };
}

/**
 * The master of the set, if there is reason to hope that it answers: not the dead address that has just failed, but
 * another master, the same one in a new reign or connected again, or the same one after a while.
 */
export function masterToAsk(
  cluster: Cluster,
  set: string,
  failed: Failed | undefined,
  nowMs: number,
): Master | undefined {
  const master = cluster.master(set);
  if (master === undefined || !master.reachable || failed === undefined) return master?.reachable ? master : undefined;
  const isNews = master.api !== failed.api || master.epoch > failed.epoch || !failed.wasReachable;
  return isNews || nowMs - failed.atMs >= LOOK_AGAIN_MS ? master : undefined;
}

/**
 * The set of this hash, whether it has a master at the moment or not; undefined if the cluster has none such. While it
 * is not known yet which sets there are, it is waited for, and in the end the fault is HA_NOT_AVAILABLE: a client that
 * hears that its handle is not valid gives it up.
 */
export async function findSet(
  needs: Pick<ProxyDependencies, 'cluster'>,
  patience: Patience,
  topic: string,
  setHash: number,
): Promise<string | undefined> {
  for (;;) {
    const set = setByHash(needs, topic, setHash);
    if (set !== undefined || needs.cluster.settled) return set;
    if (patience.isOver) {
      const text = 'Not all brokers have registered after a restart. Repeat the request in a second.';
      throw new FaultError(fault('HA_NOT_AVAILABLE', text));
    }
    await patience.change();
  }
}

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
