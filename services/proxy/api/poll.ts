// One receive over all broker sets of a topic: no consumer waits at an empty set while another has messages. The first
// set that has some wins; what others hand out at the same moment goes back to them without a counted attempt. A set
// without a master is waited for beside the others, and only a receive that met no master at all is a fault.
import type { BrokerApi, PopCall, PopCommand, PoppedMessage } from '@fulmar/core/broker-api.ts';
import { type Fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import type { ProxyContext } from './context.ts';
import { type Failed, failedNow, isAbsence, lostBroker, masterToAsk, noMaster } from './masters.ts';
import { changeWithin } from './patience.ts';
import { createPriorityPolls } from './priority-poll.ts';

/** A broker that has not ended a poll this long after its time is not waited for; its late answer is given back. */
const LATE_MS = 300;
/** When the sets are asked in turn, one that does not answer holds up the others for no longer than this. */
const PROBE_MS = 200;
/** A poll that a broker ended so much too early was ended by its leaving. */
const EARLY_MS = 200;
const REMEMBERED_ATTEMPTS_MAX = 10_000;

export interface Catch {
  readonly set: string;
  readonly broker: BrokerApi;
  /** Empty when the poll ended without a message. */
  readonly messages: readonly PoppedMessage[];
}

export interface Poll {
  /** Undefined when nothing came in time or the poll was cancelled. Never rejects. */
  readonly result: Promise<Outcome<Catch | undefined>>;
  cancel(): void;
}

export type StartPoll = (route: TopicRoute, command: Omit<PopCommand, 'waitMs'>, waitMs: number) => Poll;

/** What is needed to give a catch back; unlike the catch itself it keeps no content of messages in memory. */
export interface CatchHandles {
  readonly set: string;
  readonly broker: BrokerApi;
  readonly receiptHandles: readonly string[];
}

export function handlesOf({ set, broker, messages }: Catch): CatchHandles {
  return { set, broker, receiptHandles: messages.map(({ receiptHandle }) => receiptHandle) };
}

export function giveBack(context: ProxyContext, { group, topic }: PopSubject, caught: CatchHandles): void {
  const { set, broker, receiptHandles } = caught;
  broker.release({ group, topic, receiptHandles }).catch((thrown: unknown) => {
    lostBroker(context, set, thrown);
  });
}

interface PopSubject {
  readonly group: string;
  readonly topic: string;
}

export function createPolls(context: ProxyContext): StartPoll {
  /** Which set answered an attempt, so that its repetition finds the same messages. Only with several sets. */
  const setByAttempt = new Map<string, string>();
  const priorityPolls = createPriorityPolls(context);
  let turn = 0;

  function orderOf(route: TopicRoute, attemptId: string): string[] {
    const sets = route.shares.map(({ set }) => set);
    if (sets.length === 1) return sets;
    const answeredBy = attemptId === '' ? -1 : sets.indexOf(setByAttempt.get(attemptId) ?? '');
    turn = (turn + 1) % 0x1000_0000;
    const first = answeredBy >= 0 ? answeredBy : turn % sets.length;
    return sets.map((_, i) => sets[(first + i) % sets.length]!);
  }

  function remember(attemptId: string, set: string): void {
    if (setByAttempt.size >= REMEMBERED_ATTEMPTS_MAX) setByAttempt.delete(setByAttempt.keys().next().value!);
    setByAttempt.set(attemptId, set);
  }

  return function startPoll(route, command, waitMs) {
    const { cluster, clock, timers } = context;
    const startedAtMs = clock.monotonicMs();
    const open = new Set<PopCall>();
    const waiting = new Set<() => void>();
    let isOver = false;
    let finish: (outcome: Outcome<Catch | undefined>) => void = () => {};
    const result = new Promise<Outcome<Catch | undefined>>((resolve) => {
      finish = resolve;
    });
    const guard = timers.after(waitMs + LATE_MS, () => over(success(undefined)));

    function over(outcome: Outcome<Catch | undefined>): void {
      if (isOver) return;
      isOver = true;
      guard.cancel();
      for (const call of [...open]) call.cancel();
      for (const wake of [...waiting]) wake();
      finish(outcome);
    }

    /** Asks one set; ends the poll if it has messages, else gives the fault, if there is one. */
    async function ask(
      set: string,
      broker: BrokerApi,
      setWaitMs: number,
      leastPriority?: number,
    ): Promise<Fault | undefined> {
      let call: PopCall | undefined;
      try {
        call = broker.pop({ ...command, waitMs: setWaitMs, ...(leastPriority !== undefined && { leastPriority }) });
        open.add(call);
        const { value, fault } = await call.result;
        open.delete(call);
        if (fault !== undefined) return fault;
        if (value.length === 0) return undefined;
        const caught = { set, broker, messages: value };
        if (isOver) {
          giveBack(context, command, handlesOf(caught));
          return undefined;
        }
        if (command.attemptId !== '' && route.shares.length > 1) remember(command.attemptId, set);
        over(success(caught));
        return undefined;
      } catch (thrown) {
        if (call !== undefined) open.delete(call);
        return lostBroker(context, set, thrown).fault;
      }
    }

    function leftMs(): number {
      return Math.max(0, Math.floor(waitMs - (clock.monotonicMs() - startedAtMs)));
    }

    /** Under load the first set has messages; asking all at once would only make them take messages back. */
    async function askInTurn(sets: readonly string[]): Promise<void> {
      for (const set of sets) {
        const master = masterToAsk(cluster, set, undefined, 0);
        if (master === undefined) continue;
        await probe(ask(set, master.api, 0));
        if (isOver) return;
      }
    }

    async function askByPriority(sets: readonly string[]): Promise<void> {
      const { group, topic } = command;
      for (const { set, broker, leastPriority } of await priorityPolls.offers(sets, group, topic, PROBE_MS)) {
        if (isOver) return;
        await probe(ask(set, broker, 0, leastPriority));
      }
    }

    async function probe(asking: Promise<unknown>): Promise<void> {
      const tooLate = Promise.withResolvers<void>();
      const timer = timers.after(PROBE_MS, tooLate.resolve);
      await Promise.race([asking, tooLate.promise]);
      timer.cancel();
    }

    /** Stays with one set until the poll is over, through changes of its master. */
    async function stayWith(set: string): Promise<Fault | undefined> {
      let failed: Failed | undefined;
      let isGroupRenewed = false;
      /** A master has looked and found nothing: whatever comes later, the set was not away all the time. */
      let hasLooked = false;
      for (;;) {
        const master = masterToAsk(cluster, set, failed, clock.monotonicMs());
        if (master !== undefined) {
          const fault = await ask(set, master.api, leftMs());
          if (isOver || (fault === undefined && leftMs() <= EARLY_MS)) return undefined;
          if (fault?.error === 'CONSUMER_GROUP_NOT_FOUND' && route.shares.length > 1 && !isGroupRenewed) {
            // The group was made while this set was away.
            isGroupRenewed = true;
            const renewed = await context.groups.renew(command.group);
            if (renewed.value !== undefined) continue;
          }
          if (fault !== undefined && !isAbsence(fault)) return fault;
          hasLooked ||= fault === undefined;
          failed = failedNow(cluster, set, master, clock.monotonicMs());
        }
        if (isOver || leftMs() === 0) return isOver || hasLooked ? undefined : noMaster(set).fault;
        await changeWithin(context, leftMs(), waiting);
      }
    }

    async function run(): Promise<void> {
      const sets = orderOf(route, command.attemptId);
      if (sets.length > 1) {
        const hasPriorities = route.type === 'priority' && !setByAttempt.has(command.attemptId);
        const turns = hasPriorities ? priorityPolls.inTurn([...sets].sort()) : sets;
        await (turns === undefined ? askByPriority(sets) : askInTurn(turns));
      }
      if (isOver) return;
      const faults = await Promise.all(sets.map(stayWith));
      const fault = faults.find((each) => each !== undefined && !isAbsence(each)) ?? faults[0];
      over(fault !== undefined && faults.every((each) => each !== undefined) ? { fault } : success(undefined));
    }

    void run();
    return { result, cancel: () => over(success(undefined)) };
  };
}
