// The connections to the masters of all broker sets, one for each set. They follow the routes: a new master gets a
// connection, a lost one loses it, and a master that comes back at the same address keeps its own.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import type { BrokerEntry, Master } from '@fulmar/core/route.ts';

export interface BrokerConnection extends BrokerApi {
  /** False from the moment when it breaks until it is there again. */
  readonly reachable: boolean;
  /** There is reason to try at once what would be tried after a pause. */
  reconnect(): void;
  close(): void;
}

/**
 * Connects to a broker's data plane, or hands out the broker that lives in the same process. Never throws. `onChange`
 * is called, never at once, when `reachable` is different.
 */
export type ConnectBroker = (address: string, onChange: () => void) => BrokerConnection;

class Link implements Master {
  readonly address: string;
  readonly api: BrokerConnection;
  epoch: number;

  constructor(address: string, api: BrokerConnection, epoch: number) {
    this.address = address;
    this.api = api;
    this.epoch = epoch;
  }

  get reachable(): boolean {
    return this.api.reachable;
  }
}

export class BrokerLinks {
  readonly #connect: (address: string) => BrokerConnection;
  readonly #bySet = new Map<string, Link>();
  #sorted: readonly { readonly set: string; readonly api: BrokerApi }[] = [];

  constructor(connect: ConnectBroker, onChange: () => void) {
    this.#connect = (address) => connect(address, onChange);
  }

  get(set: string): Master | undefined {
    return this.#bySet.get(set);
  }

  all(): readonly { readonly set: string; readonly api: BrokerApi }[] {
    return this.#sorted;
  }

  follow(masters: readonly BrokerEntry[]): void {
    const kept = new Map(masters.map((entry) => [entry.set, entry]));
    const left: Link[] = [];
    for (const [set, link] of this.#bySet) {
      if (kept.get(set)?.address === link.address) continue;
      this.#bySet.delete(set);
      left.push(link);
    }
    for (const [set, { address, epoch }] of kept) {
      const link = this.#bySet.get(set);
      if (link === undefined) this.#bySet.set(set, new Link(address, this.#connect(address), epoch));
      else if (link.epoch !== epoch) {
        link.epoch = epoch;
        if (!link.reachable) link.api.reconnect();
      }
    }
    this.#sorted = [...this.#bySet.keys()].sort().map((set) => ({ set, api: this.#bySet.get(set)!.api }));
    // Last, so that calls which fail by this find the new master in place when they are repeated.
    for (const { api } of left) api.close();
  }

  close(): void {
    this.follow([]);
  }
}
