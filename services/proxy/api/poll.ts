// One receive over all broker sets of a topic: no consumer waits at an empty set while another has messages. The first
// set that has some wins; what others hand out at the same moment goes back to them without a counted attempt.
import type { BrokerApi, PopCall, PopCommand, PoppedMessage } from '@fulmar/core/broker-api.ts';
import { type Fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import type { ProxyContext } from './context.ts';
import { lostBroker, noMaster } from './masters.ts';

/** A broker that has not ended a poll this long after its time is not waited for; its late answer is given back. */
const LATE_MS = 300;
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
      finish(outcome);
    }

    /** Asks one set; ends the poll if it has messages, else gives the fault, if there is one. */
    async function ask(set: string, broker: BrokerApi, setWaitMs: number): Promise<Fault | undefined> {
      let call: PopCall | undefined;
      try {
        call = broker.pop({ ...command, waitMs: setWaitMs });
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

    async function run(): Promise<void> {
      const sets: { set: string; broker: BrokerApi }[] = [];
      for (const set of orderOf(route, command.attemptId)) {
        const broker = cluster.broker(set);
        if (broker !== undefined) sets.push({ set, broker });
      }
      if (sets.length === 0) {
        over(noMaster(route.shares[0]!.set));
        return;
      }
      if (sets.length > 1) {
        // Under load the first set has messages; asking all of them at once would only make them take messages back.
        for (const { set, broker } of sets) {
          await ask(set, broker, 0);
          if (isOver) return;
        }
      }
      const leftMs = Math.max(0, waitMs - (clock.monotonicMs() - startedAtMs));
      const faults = await Promise.all(sets.map(({ set, broker }) => ask(set, broker, Math.floor(leftMs))));
      const [first] = faults;
      over(first !== undefined && faults.every((each) => each !== undefined) ? { fault: first } : success(undefined));
    }

    void run();
    return { result, cancel: () => over(success(undefined)) };
  };
}
