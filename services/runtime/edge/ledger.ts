// What all connections of one server share while they run: the time of this turn, and the bytes that they have under
// way. Plain numbers, because every message changes them.

export class Ledger {
  /** Monotonic; read from the clock once for each event, not for each message. */
  nowMs = 0;
  /** Memory of requests that have begun and whose calls have not ended, beyond what each may have uncounted. */
  requestBytes = 0;
  /** Open streams. */
  streams = 0;
  /** Bytes of answers that have not reached the network. */
  responseBytes = 0;
}
