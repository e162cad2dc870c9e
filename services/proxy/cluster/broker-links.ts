// The connections to the masters of all broker sets, one for each set. They follow the routes: a new master gets a
// connection, a lost one loses it, and a master that comes back at the same address keeps its own.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import type { BrokerEntry } from '@fulmar/core/route.ts';

export type BrokerConnection = BrokerApi & { close(): void };

/** Connects to a broker's data plane, or hands out the broker that lives in the same process. Never throws. */
export type ConnectBroker = (address: string) => BrokerConnection;

interface Link {
  readonly address: string;
  readonly api: BrokerConnection;
}

export class BrokerLinks {
  readonly #connect: ConnectBroker;
  readonly #bySet = new Map<string, Link>();
  #sorted: readonly { readonly set: string; readonly api: BrokerApi }[] = [];

  constructor(connect: ConnectBroker) {
    this.#connect = connect;
  }

  get(set: string): BrokerApi | undefined {
    return this.#bySet.get(set)?.api;
  }

  all(): readonly { readonly set: string; readonly api: BrokerApi }[] {
    return this.#sorted;
  }

  follow(masters: readonly BrokerEntry[]): void {
    const kept = new Map(masters.map((entry) => [entry.set, entry.address]));
    const left: Link[] = [];
    for (const [set, link] of this.#bySet) {
      if (kept.get(set) === link.address) continue;
      this.#bySet.delete(set);
      left.push(link);
    }
    for (const [set, address] of kept) {
      if (!this.#bySet.has(set)) this.#bySet.set(set, { address, api: this.#connect(address) });
    }
    this.#sorted = [...this.#bySet.keys()].sort().map((set) => ({ set, api: this.#bySet.get(set)!.api }));
    // Last, so that calls which fail by this find the new master in place when they are repeated.
    for (const { api } of left) api.close();
  }

  close(): void {
    this.follow([]);
  }
}
