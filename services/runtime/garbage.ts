// When the heap is collected beside what V8 decides: after the start, and when a burst of work is over. V8 lets garbage
// lie until the heap has grown to a multiple of what is alive, so a process at rest would keep what its busiest minute
// has left behind.

/** After the first calls, which load what they need, and before anybody looks at how much memory is taken. */
const START_MS = 3_000;
const LOOK_MS = 1_000;
/** Shares of the time in which the event loop has something to do. */
const BUSY = 0.2;
const CALM = 0.05;
/** The collection throws away compiled code, too: requests that come every few seconds should not find it gone. */
const REST_MS = 60_000;
/** Less is not worth the pause. */
const WORTH_BYTES = 32 * 2 ** 20;

/** Says when a burst of work is over. */
export class RestWatch {
  readonly #calmLooksWanted: number;
  #wasBusy = false;
  #calmLooks = 0;
  #keptBytes = 0;

  constructor(calmLooksWanted: number) {
    this.#calmLooksWanted = calmLooksWanted;
  }

  /** `bytes` are those of the heap and of what belongs to it, after a collection. */
  collected(bytes: number): void {
    this.#keptBytes = bytes;
    this.#wasBusy = false;
  }

  /** To be called again and again; `utilization` is the busy share of the time since the last call. */
  isDue(utilization: number, bytes: () => number): boolean {
    if (utilization >= BUSY) this.#wasBusy = true;
    this.#calmLooks = utilization < CALM ? this.#calmLooks + 1 : 0;
    if (!this.#wasBusy || this.#calmLooks < this.#calmLooksWanted) return false;
    this.#wasBusy = false;
    return bytes() - this.#keptBytes >= WORTH_BYTES;
  }
}

/**
 * Collects what the start has left behind, and from then on what each burst of work has. Does nothing in a process that
 * was not given its heap by `takeFittingHeap`.
 */
export function collectAtRest(restMs = REST_MS): void {
  const { gc } = globalThis;
  if (gc === undefined) return;
  const watch = new RestWatch(restMs / LOOK_MS);
  const collect = (): void => {
    // An ordinary collection gives nothing back to the system.
    gc({ type: 'major', flavor: 'last-resort', execution: 'sync' });
    watch.collected(heapBytes());
  };
  setTimeout(collect, START_MS).unref();
  let before = performance.eventLoopUtilization();
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (watch.isDue(utilization, heapBytes)) collect();
  }, LOOK_MS).unref();
}

function heapBytes(): number {
  const { heapTotal, external } = process.memoryUsage();
  return heapTotal + external;
}
