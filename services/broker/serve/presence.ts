// Which consumers are online, as the proxies report it. A lease of a push consumer lasts as long as its client; when
// the client says goodbye, is reported gone, or has not been heard of through any proxy for a while, its messages
// become visible again shortly after. Presence is soft: after a restart every holder gets a fresh period of grace.
import type { ClientsReport } from '@fulmar/core/broker-api.ts';
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import { clientGoneBytes, writeClientGone } from '../state/records/consumption.ts';
import type { BrokerState } from '../state/state.ts';

/** Proxies report every 10 s; whoever is in nobody's report for so long is gone together with its proxy. */
const SILENCE_MS = 60_000;
const SWEEP_MS = 5_000;
/** A client seen at another proxy within this time is not gone because one proxy says so. */
const ELSEWHERE_MS = 15_000;
const VISIBLE_AFTER_MS = 1_000;

export class Presence {
  private readonly state: BrokerState;
  private readonly committer: Committer;
  private readonly clock: Clock;
  private readonly timers: Timers;
  /**
   * For each client when each proxy has last heard of it; "" stands for receives, whichever proxy they came through.
   */
  private readonly seen = new Map<string, Map<string, number>>();
  private timer: Timer | undefined;

  constructor(state: BrokerState, committer: Committer, clock: Clock, timers: Timers) {
    this.state = state;
    this.committer = committer;
    this.clock = clock;
    this.timers = timers;
  }

  start(): void {
    this.timer = this.timers.after(SWEEP_MS, () => {
      this.sweep();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** A client that receives is online, whatever the reports say. */
  noteReceive(clientId: string): void {
    this.note(clientId, '');
  }

  report({ proxyId, online, gone }: ClientsReport): void {
    for (const clientId of online) this.note(clientId, proxyId);
    const nowMs = this.clock.monotonicMs();
    for (const clientId of gone) {
      const seen = this.seen.get(clientId);
      seen?.delete(proxyId);
      const isElsewhere = [...(seen ?? [])].some(([by, atMs]) => by !== '' && nowMs - atMs < ELSEWHERE_MS);
      if (isElsewhere) continue;
      this.seen.delete(clientId);
      this.end(clientId);
    }
  }

  private note(clientId: string, proxyId: string): void {
    const atMs = this.clock.monotonicMs();
    const seen = this.seen.get(clientId);
    if (seen === undefined) this.seen.set(clientId, new Map([[proxyId, atMs]]));
    else seen.set(proxyId, atMs);
  }

  private sweep(): void {
    const nowMs = this.clock.monotonicMs();
    for (const clientId of this.holders()) {
      const seen = this.seen.get(clientId);
      if (seen === undefined) this.note(clientId, '');
      else if (nowMs - Math.max(...seen.values()) > SILENCE_MS) this.end(clientId);
    }
    for (const [clientId, seen] of this.seen) {
      if (nowMs - Math.max(...seen.values()) > SILENCE_MS) this.seen.delete(clientId);
    }
  }

  private holders(): Set<string> {
    const holders = new Set<string>();
    for (const { heldBy } of this.state.subscriptions()) for (const clientId of heldBy.keys()) holders.add(clientId);
    return holders;
  }

  private end(clientId: string): void {
    if (!this.holds(clientId)) return;
    const payload = { clientId, visibleAtMs: this.committer.nowMs() + VISIBLE_AFTER_MS };
    this.committer.append({ type: RECORD_TYPE.clientGone, payload }, clientGoneBytes(payload), writeClientGone);
  }

  private holds(clientId: string): boolean {
    for (const { heldBy } of this.state.subscriptions()) if (heldBy.has(clientId)) return true;
    return false;
  }
}
