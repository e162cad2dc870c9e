// Deadlines that clients name in `grpc-timeout`, made harmless before the gRPC library reads them. It turns a deadline
// of decades, as official clients give to their Telemetry streams, into a negative timer and ends the stream at once.
// A deadline beyond what a timer can hold means "none"; one with too many digits is understood all the same.

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

const LONGEST_TIMER_MS = 2 ** 31 - 1;
const LONGEST_VALUE = 8;

/**
 * Milliseconds of a header value, or undefined if it is none. Digits beyond the eight of the standard are taken too.
 */
export function timeoutMs(value: string): number | undefined {
  const unit = UNIT_MS[value.slice(-1)];
  const digits = value.slice(0, -1).trim();
  if (unit === undefined || digits === '') return undefined;
  for (let i = 0; i < digits.length; i++) {
    const code = digits.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return undefined;
  }
  return Number(digits) * unit;
}

/** Changes or removes the header so that the library waits as long as the client means, or for ever. */
export function neutraliseTimeout(headers: Record<string, unknown>): void {
  const value = headers['grpc-timeout'];
  if (value === undefined) return;
  const ms = typeof value === 'string' ? timeoutMs(value) : undefined;
  if (ms === undefined || ms > LONGEST_TIMER_MS) {
    delete headers['grpc-timeout'];
    return;
  }
  if ((value as string).length <= LONGEST_VALUE + 1) return;
  // Seconds of the longest timer have seven digits.
  headers['grpc-timeout'] = ms < 10_000_000 ? `${Math.ceil(ms)}m` : `${Math.ceil(ms / 1000)}S`;
}
