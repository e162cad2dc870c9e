// How patient a broker set is with half messages that nobody ends. The settings of a broker say it; what they say when
// nobody sets them is here.

export interface TransactionPolicy {
  /** From the send of a half message to its first check, if its producer does not say. */
  readonly firstCheckMs: number;
  readonly checkIntervalMs: number;
  readonly checksMax: number;
  /** A half message expires after this time even if nobody could be asked. */
  readonly openMs: number;
  /** How long an expired one can be ended or resumed. */
  readonly keepExpiredMs: number;
  /** A half message that lies further behind the end of the log is carried on. */
  readonly carryBehindBytes: number;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

export const DEFAULT_TRANSACTION_POLICY: TransactionPolicy = {
  firstCheckMs: 30 * SECOND,
  checkIntervalMs: 30 * SECOND,
  checksMax: 15,
  openMs: 24 * HOUR,
  keepExpiredMs: 72 * HOUR,
  carryBehindBytes: 1024 ** 3,
};
