// Times as people write them on a command line: how long ago, or a date.
import { parseDuration } from '@fulmar/core/quantities.ts';

/** `2h` is two hours before `nowMs`; undefined for what is no time. */
export function momentOf(text: string, nowMs: number): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return Math.max(0, nowMs - ago);
  const timeMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}
