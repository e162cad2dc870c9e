// Lets long waits for messages end in step: a thousand consumers that wait ten seconds each would wake a process that
// has nothing to do a hundred times a second, and the proxy and the clients with it. Ends that fall together cost one
// wake-up, and their answers leave in one write for each connection. No wait becomes longer, and none shorter by more
// than a fiftieth.

const STEP_MS = 100;
/** Shorter ones end when they were asked to. */
const LONG_MS = 5_000;

/** How long a receive waits that was asked to wait `waitMs` from `nowMs` on, log time. */
export function waitInStep(waitMs: number, nowMs: number): number {
  return waitMs < LONG_MS ? waitMs : waitMs - ((nowMs + waitMs) % STEP_MS);
}
