// How long a receive waits for its first message: what the client asks for, within the limits of the server, and always
// so that the answer leaves before the client's own deadline.
import { LIMITS } from '@fulmar/core/limits.ts';

/** What a client that names no polling time has put on top of it to get its deadline. */
const REQUEST_TIMEOUT_MS = 3_000;

export function pollMs(longPollingMs: number | undefined, remainingMs: number | undefined): number {
  const asked = longPollingMs ?? (remainingMs === undefined ? LIMITS.longPollMaxMs : remainingMs - REQUEST_TIMEOUT_MS);
  const clamped = Math.min(LIMITS.longPollMaxMs, Math.max(LIMITS.longPollMinMs, asked));
  if (remainingMs === undefined) return clamped;
  return Math.max(0, Math.min(clamped, remainingMs - LIMITS.deadlineMarginMs));
}
