// How a consumer group is served that was made without settings of its own: by its first use, or by a command that
// names none. The same waits and number of attempts as in Apache RocketMQ.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Waits between attempts of a group that was made without its own, and the number of attempts that belongs to them. */
export const DEFAULT_BACKOFF_MS: readonly number[] = [
  1 * SECOND,
  5 * SECOND,
  10 * SECOND,
  30 * SECOND,
  ...Array.from({ length: 10 }, (_, i) => (i + 1) * MINUTE),
  20 * MINUTE,
  30 * MINUTE,
  1 * HOUR,
  2 * HOUR,
];
export const DEFAULT_MAX_ATTEMPTS = 17;
