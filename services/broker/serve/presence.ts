// Which consumers are online, as the proxies report it. A lease of a push consumer lasts as long as its client; when
// the client says goodbye, is reported gone, or has not been heard of through any proxy for a while, its messages
// become visible again shortly after. Nobody knows whether an answer that was under way when a master, a proxy or a
// connection ended has reached its consumer, so what was held through one of these is held for a bounded time only.
import type { ClientsReport } from '@fulmar/core/broker-api.ts';
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import { clientGoneBytes, writeClientGone } from '../state/records/consumption.ts';
import type { BrokerState } from '../state/state.ts';

/** Proxies report every 10 s; whoever is in nobody's report for so long is gone together with its proxy. */
const SILENCE_MS = 60_000;
/** A proxy that has missed three reports. */
const PROXY_SILENCE_MS = 30_000;
const SWEEP_MS = 5_000;
/** A client seen at another proxy within this time is not gone because one proxy says so. */
const ELSEWHERE_MS = 15_000;
const VISIBLE_AFTER_MS = 1_000;
/** How long a message stays with its consumer when the master, proxy or connection that handed it out is gone. */
const INHERITED_MS = 30_000;

export class Presence {
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly clock: Clock;
  private readonly timers: Timers;
  private readonly onLeft: (clientId: string, isCertain: boolean) => void;
  /**
   * For each client when each proxy has last heard of it; "" stands for receives, whichever proxy they came through.
   */
  private readonly seen = new Map<string, Map<string, number>>();
  private timer: Timer | undefined;

  /** `onLeft` hears of each consumer that has gone, and, as not certain, of each whose connection broke for good. */
  constructor(
    state: BrokerState,
    committer: Committer,
    clock: Clock,
    timers: Timers,
    onLeft: (clientId: string, isCertain: boolean) => void,
  ) {
    this.state = state;
    this.committer = committer;
    this.clock = clock;
    this.timers = timers;
    this.onLeft = onLeft;
  }

  start(): void {
    const holders = this.messageHolders();
    for (const clientId of holders) this.end(clientId, INHERITED_MS, holders);
    this.arm();
  }

  private arm(): void {
    this.timer = this.timers.after(SWEEP_MS, () => {
      this.sweep();
      this.arm();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** A client that receives is online, whatever the reports say. */
  noteReceive(clientId: string): void {
    this.note(clientId, '');
  }

  /** Whether the client has been heard of lately, and has not said goodbye since. */
  isOnline(clientId: string): boolean {
    const seen = this.seen.get(clientId);
    return seen !== undefined && this.clock.monotonicMs() - Math.max(...seen.values()) <= SILENCE_MS;
  }

  report({ proxyId, online, gone, doubtful, lost }: ClientsReport): void {
    for (const clientId of online) this.note(clientId, proxyId);
    const nowMs = this.clock.monotonicMs();
    // Thousands may be gone at once, as those of one proxy, and of as many subscriptions.
    const holders = gone.length + doubtful.length === 0 ? NOBODY : this.messageHolders();
    for (const clientId of gone) {
      if (this.isElsewhere(clientId, proxyId, nowMs)) continue;
      this.seen.delete(clientId);
      this.end(clientId, VISIBLE_AFTER_MS, holders);
      this.onLeft(clientId, true);
    }
    for (const clientId of lost) {
      // It keeps what it holds until it is gone: it may be working on it.
      if (!this.isElsewhere(clientId, proxyId, nowMs)) this.onLeft(clientId, false);
    }
    for (const clientId of doubtful) this.end(clientId, INHERITED_MS, holders);
  }

  /** Whether another proxy has heard of the client; this one has not any more. */
  private isElsewhere(clientId: string, proxyId: string, nowMs: number): boolean {
    const seen = this.seen.get(clientId);
    seen?.delete(proxyId);
    return [...(seen ?? [])].some(([by, atMs]) => by !== '' && nowMs - atMs < ELSEWHERE_MS);
  }

  private note(clientId: string, proxyId: string): void {
    const atMs = this.clock.monotonicMs();
    const seen = this.seen.get(clientId);
    if (seen === undefined) this.seen.set(clientId, new Map([[proxyId, atMs]]));
    else seen.set(proxyId, atMs);
  }

  private sweep(): void {
    const nowMs = this.clock.monotonicMs();
    const holders = this.messageHolders();
    for (const clientId of this.withReadersOfLiteTopics(holders)) {
      const seen = this.seen.get(clientId);
      if (seen === undefined) this.note(clientId, '');
      else if (nowMs - Math.max(...seen.values()) > SILENCE_MS) this.end(clientId, VISIBLE_AFTER_MS, holders);
      else if (this.lostProxy(seen, nowMs)) this.end(clientId, INHERITED_MS, holders);
    }
    for (const [clientId, seen] of this.seen) {
      if (nowMs - Math.max(...seen.values()) <= SILENCE_MS) continue;
      this.seen.delete(clientId);
      this.onLeft(clientId, true);
    }
  }

  /** Whether a proxy through which the client was online has stopped reporting; it is forgotten. */
  private lostProxy(seen: Map<string, number>, nowMs: number): boolean {
    let lost = false;
    for (const [proxyId, atMs] of seen) {
      if (proxyId === '' || nowMs - atMs <= PROXY_SILENCE_MS) continue;
      seen.delete(proxyId);
      lost = true;
    }
    return lost;
  }

  private messageHolders(): ReadonlySet<string> {
    const holders = new Set<string>();
    for (const { heldBy } of this.state.subscriptions()) for (const clientId of heldBy.keys()) holders.add(clientId);
    return holders;
  }

  private withReadersOfLiteTopics(holders: ReadonlySet<string>): Set<string> {
    const all = new Set(holders);
    for (const { lite } of this.state.groups.byId.values()) {
      for (const clientId of lite?.consumers.clients() ?? []) all.add(clientId);
    }
    return all;
  }

  /** What the client holds, if it holds anything, is visible again after that time. */
  private end(clientId: string, afterMs: number, holders: ReadonlySet<string>): void {
    // What was handed out a moment ago may be held by a record that is not committed yet.
    if (!holders.has(clientId) && !this.committer.hasPending) return;
    const payload = { clientId, visibleAtMs: this.committer.nowMs() + afterMs };
    this.committer.append({ type: RECORD_TYPE.clientGone, payload }, clientGoneBytes(payload), writeClientGone);
  }
}

const NOBODY: ReadonlySet<string> = new Set();
