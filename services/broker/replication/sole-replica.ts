// Coordination for a set of one replica: there is nobody to agree with. The directory's lock keeps a second process
// out, and the epochs that were used are in the log, so the record itself need not outlive the process.
import type { Coordination, Observed } from '@fulmar/core/coordination.ts';

export function soleReplica(): Coordination {
  let stored: Observed | undefined;
  let written = 0;
  return {
    fixedInSync: true,
    read: async () => stored,
    async write(record, expected) {
      if (stored?.version !== expected) return undefined;
      stored = { record, version: String(++written) };
      return stored.version;
    },
    watch() {},
    async close() {},
  };
}
