// A network between replicas, in virtual time. It breaks in the ways in which TCP breaks and in no other: messages of
// one connection come in order, late, once, or not at all up to the end of the connection; never with a gap.
//
//   const network = new SimulatedNetwork(scheduler, random.fork(), trace);
//   network.serve('b:10912', processOfB, serviceOfB);          // once for each start of b; replaces the one before
//   const connect = network.connector('a:10912', processOfA);  // the ConnectPeer of a
//   network.partition('a:10912', 'b:10912');                   // nothing from a reaches b; what b says reaches a
//   network.isolate('a:10912');                                // nothing in or out
//   network.heal();                                            // each stalled connection goes on or is reset: the seed
//   network.reset('a:10912', 'b:10912');                       // both ends hear of it at once; without names: all
//   network.faults.reset = 0.001;                              // each message may be the end of its connection
//
// `kill` of a process resets its connections, as the operating system of a dead process does, and whoever calls it next
// hears `unreachable`. For a machine that is gone without a word, `isolate` it first. `pause` of a process makes
// everything that reaches it wait until `resume`.
//
// Addresses are only names; those that `serve` has not been called for refuse. A message that is swallowed keeps
// everything behind it on its connection from arriving. A call that gets no connection ends as `broken` after
// `CONNECT_MS`; `manifest`, `readFile` and `readRecord` reject after `ANSWER_MS`. Bytes are copied when they are sent.
import type {
  ConnectPeer,
  FollowReply,
  FollowRequest,
  ReplicationService,
} from '@fulmar/broker/replication/messages.ts';
import type { SeededRandom } from './random.ts';
import { type CallNetwork, type CallPlan, type OpenCall, type Served, SimulatedCall } from './replication-call.ts';
import { bytesOf, followerPort } from './replication-values.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';
import type { Trace } from './trace.ts';

export const ANSWER_MS = 10_000;

const CLOSED = 'the connection was closed by this side';

/** Probabilities for each message. */
export interface NetworkFaults {
  reset: number;
}

export class SimulatedNetwork {
  readonly faults: NetworkFaults = { reset: 0 };
  private readonly scheduler: Scheduler;
  private readonly random: SeededRandom;
  private readonly trace: Trace;
  private readonly servers = new Map<string, Served>();
  /** `from to` of every way that is cut. */
  private readonly cuts = new Set<string>();
  private readonly isolated = new Set<string>();
  private readonly calls = new Set<OpenCall>();
  private readonly watched = new WeakSet<SimulatedProcess>();
  private readonly forCalls: CallNetwork;

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace) {
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
    this.forCalls = {
      scheduler,
      delayMs: () => (random.chance(0.02) ? random.between(1, 40) : random.between(1, 1_000) / 500),
      isCut: (from, to) => this.isCut(from, to),
      serverAt: (address) => this.servers.get(address),
      arrives: (from, to, bytes) => {
        this.note(`${from} ${to} ${bytes}`);
        return this.faults.reset === 0 || !random.chance(this.faults.reset);
      },
      losesFlying: () => random.chance(0.5),
      forget: (call) => this.calls.delete(call),
    };
  }

  /** From now on `service` answers at `address`, until `process` is killed or another one serves there. */
  serve(address: string, process: SimulatedProcess, service: ReplicationService): void {
    const before = this.servers.get(address);
    this.servers.set(address, { process, service });
    if (before !== undefined) this.resetWhere((call) => call.server === before);
    this.watch(process);
  }

  /** How the replica at `fromAddress` reaches the others. */
  connector(fromAddress: string, process: SimulatedProcess): ConnectPeer {
    this.watch(process);
    return (to) => {
      const open = new Set<() => void>();
      let closed = false;
      const route = { from: fromAddress, client: process, to };
      const ask = <T>(question: (service: ReplicationService) => Promise<T>) =>
        closed ? Promise.reject(new Error(CLOSED)) : this.ask(route, open, question);
      return {
        follow: (listener) => {
          if (closed) {
            process.soon(() => listener.onEnd('broken', CLOSED));
            return { send: () => {}, cancel: () => {} };
          }
          const call = this.start<FollowRequest, FollowReply>({
            ...route,
            accept: (service, end) => service.follow(followerPort(end)),
            onMessage: (reply) => listener.onReply(reply),
            onEnd: (reason, text) => {
              open.delete(cancel);
              listener.onEnd(reason, text);
            },
          });
          const cancel = () => {
            open.delete(cancel);
            call.cancel();
          };
          open.add(cancel);
          return { send: (request) => call.send(request, bytesOf(request)), cancel };
        },
        manifest: () => ask((service) => service.manifest()),
        readFile: (name, offset, length) => ask((service) => service.readFile(name, offset, length)),
        readRecord: (position, length) => ask((service) => service.readRecord(position, length)),
        close: () => {
          closed = true;
          for (const cancel of [...open]) cancel();
        },
      };
    };
  }

  /** Swallows everything that `from` sends to `to` from now on, what is under way included. */
  partition(from: string, to: string): void {
    this.note(`partition ${from} ${to}`);
    this.cuts.add(`${from} ${to}`);
  }

  isolate(address: string): void {
    this.note(`isolate ${address}`);
    this.isolated.add(address);
  }

  heal(): void {
    this.note('heal');
    this.cuts.clear();
    this.isolated.clear();
    for (const call of [...this.calls]) call.healed(() => this.random.chance(0.5));
  }

  /** All connections between the two; of the one; or all. */
  reset(address?: string, other?: string): void {
    this.note(`reset ${address} ${other}`);
    this.resetWhere(({ from, to }) =>
      [address, other].every((name) => name === undefined || name === from || name === to),
    );
  }

  private start<Up, Down>(plan: CallPlan<Up, Down>): SimulatedCall<Up, Down> {
    const call = new SimulatedCall(this.forCalls, plan);
    this.calls.add(call);
    return call;
  }

  /** A question with one answer, which the replica is given a copy of. */
  private ask<T>(
    route: Pick<CallPlan<never, never>, 'from' | 'client' | 'to'>,
    open: Set<() => void>,
    question: (service: ReplicationService) => Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const give = (up: () => void) => {
        open.delete(cancel);
        tooLate.cancel();
        call.cancel();
        up();
      };
      const fail = (text: string) => give(() => reject(new Error(text)));
      const cancel = () => fail(CLOSED);
      const tooLate = route.client.after(ANSWER_MS, () => fail(`${route.to} did not answer in ${ANSWER_MS} ms`));
      const call = this.start<never, { readonly value?: T; readonly error?: string }>({
        ...route,
        accept: (service, end) => {
          question(service).then(
            (value) => end.send({ value: Buffer.isBuffer(value) ? (Buffer.from(value) as T & Buffer) : value }, 64),
            (error) => end.send({ error: String(error) }, 64),
          );
        },
        onMessage: ({ value, error }) => {
          if (error === undefined) give(() => resolve(value as T));
          else fail(error);
        },
        onEnd: (_reason, text) => fail(text),
      });
      open.add(cancel);
    });
  }

  private isCut(from: string, to: string): boolean {
    return this.isolated.has(from) || this.isolated.has(to) || this.cuts.has(`${from} ${to}`);
  }

  private resetWhere(isMeant: (call: OpenCall) => boolean): void {
    for (const call of [...this.calls]) if (isMeant(call)) call.reset();
  }

  private watch(process: SimulatedProcess): void {
    if (this.watched.has(process)) return;
    this.watched.add(process);
    process.onKill(() => {
      for (const call of [...this.calls]) {
        if (call.client === process) call.clientDied();
        if (call.server?.process === process) call.serverDied();
      }
    });
  }

  private note(event: string): void {
    this.trace.note(`${this.scheduler.nowMs} ${event}`);
  }
}
