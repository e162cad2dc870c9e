// Who is the master of a broker set. Of several that claim it the highest epoch counts, and the highest epoch seen is
// remembered for a while after its master is gone, so that an old master that comes back cannot take the route again.
// NameServers and proxies judge by this same rule, so a proxy that changes to a NameServer that knows less is not
// misled.
import type { BrokerEntry } from './route.ts';

interface Remembered {
  epoch: number;
  /** When the master of that epoch was found missing; undefined while it is there. */
  lostAtMs: number | undefined;
}

export class MasterEpochs {
  readonly #memoryMs: number;
  readonly #bySet = new Map<string, Remembered>();

  constructor(memoryMs: number) {
    this.#memoryMs = memoryMs;
  }

  /**
   * The master of `set` among its entries, or undefined while only older ones than the remembered one claim to be it.
   * Must be called after every change of the entries. Two masters of one epoch cannot be; the smaller replica name is
   * taken then, so that all NameServers say the same.
   */
  choose(set: string, entries: Iterable<BrokerEntry>, nowMs: number): BrokerEntry | undefined {
    let best: BrokerEntry | undefined;
    for (const entry of entries) {
      if (entry.role === 'master' && entry.set === set && (best === undefined || comesBefore(entry, best)))
        best = entry;
    }
    const remembered = this.#bySet.get(set);
    if (best === undefined || (remembered !== undefined && best.epoch < remembered.epoch)) {
      if (remembered === undefined) return undefined;
      remembered.lostAtMs ??= nowMs;
      if (nowMs - remembered.lostAtMs < this.#memoryMs) return undefined;
      this.#bySet.delete(set);
      if (best === undefined) return undefined;
    }
    this.#bySet.set(set, { epoch: best.epoch, lostAtMs: undefined });
    return best;
  }

  /** Forgets the sets whose masters have been missing for longer than the memory. */
  forget(nowMs: number): void {
    for (const [set, { lostAtMs }] of this.#bySet) {
      if (lostAtMs !== undefined && nowMs - lostAtMs >= this.#memoryMs) this.#bySet.delete(set);
    }
  }
}

/** The order of trust in replicas of one set: the higher epoch first, then the smaller name. */
export function comesBefore(a: BrokerEntry, b: BrokerEntry): boolean {
  return a.epoch !== b.epoch ? a.epoch > b.epoch : a.replica < b.replica;
}
