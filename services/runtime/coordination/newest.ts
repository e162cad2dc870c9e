// Hands records to the one listener of a provider, each once, and never an older one after a newer one where the
// store's own order cannot tell: epochs only grow, and so do renewals within an epoch.
import type { Observed, SetRecord } from '@fulmar/core/coordination.ts';

export class Newest {
  private listener: ((observed: Observed) => void) | undefined;
  private told: Observed | undefined;

  listen(listener: (observed: Observed) => void): void {
    if (this.listener !== undefined) throw new Error('the set record has exactly one listener');
    this.listener = listener;
  }

  tell(observed: Observed | undefined): void {
    const { told } = this;
    if (observed === undefined || observed.version === told?.version) return;
    if (told !== undefined && isOlder(observed.record, told.record)) return;
    this.told = observed;
    this.listener?.(observed);
  }
}

function isOlder(a: SetRecord, b: SetRecord): boolean {
  return a.epoch !== b.epoch ? a.epoch < b.epoch : a.renewals < b.renewals;
}
