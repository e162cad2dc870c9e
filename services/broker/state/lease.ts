// A lease: one message that a group has been handed, or that waits behind such a one, and has not settled. Everything
// of a queue below its cursor that has no lease is settled; so leases and cursors together are a group's progress.

export interface Lease {
  readonly queueId: number;
  readonly queueOffset: number;
  /** Deliveries so far; 0 for a parked message that nobody has seen. */
  attempt: number;
  /** Log time from which the message may be handed out (again). */
  visibleAtMs: number;
  /** Identifies the delivery that holds it. */
  popId: number;
  /** The consumer whose session keeps the lease alive; empty when time alone ends it. */
  renewedBy: string;
  /** Key of its lane in ordered consumption; 0 in unordered. */
  readonly lane: number;
  /** False once settled. */
  live: boolean;
  /** Taken out of the heap because it is due; waits to be handed out. Follows from the other fields and the time. */
  ready: boolean;
  /** Counts how often it has become ready, so that an older place in the list of ready leases is known for stale. */
  turn: number;
}

const OFFSETS_PER_QUEUE = 2 ** 42;

/** One number for a place in a topic; queue ids stay below 1,024 and offsets below 2^42. */
export function placeKey(queueId: number, queueOffset: number): number {
  return queueId * OFFSETS_PER_QUEUE + queueOffset;
}

/** The queue of a place. */
export function queueOfPlace(key: number): number {
  return Math.floor(key / OFFSETS_PER_QUEUE);
}
