// Calls of a coordination store end in time: what takes longer is rejected, its outcome unknown, and goes on unheard.
import { setTimeout as delay } from 'node:timers/promises';

/** How long one call of a coordination store may take unless somebody says otherwise. */
export const CALL_TIMEOUT_MS = 1_000;

export class CoordinationTimeout extends Error {
  constructor(what: string, timeoutMs: number) {
    super(`${what} has not answered within ${timeoutMs} ms. Whether the call took effect is not known.`);
    this.name = 'CoordinationTimeout';
  }
}

export async function withDeadline<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: over.signal, ref: true }).then(() => {
    throw new CoordinationTimeout(what, timeoutMs);
  });
  // The loser of the race must not end the process.
  late.catch(() => {});
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}

/** Resolves early, and without an error, when the signal is given. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => {});
}
