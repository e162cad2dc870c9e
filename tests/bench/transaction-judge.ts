// Judges a run of producers that were killed between half message and end: by what they wrote, what they answered when
// they were asked, and what a consumer got. A producer writes before it acts, so a kill hides nothing that counts.

export interface TransactionHistory {
  /** Half messages whose send was answered OK, by body. */
  readonly sent: ReadonlySet<string>;
  /** When a producer first began to end a message, or first answered a question about it, by body; wall time. */
  readonly decidedAtMs: ReadonlyMap<string, number>;
  readonly deliveries: readonly { readonly body: string; readonly atMs: number }[];
  /** Half messages that nobody has decided about in the end. */
  readonly open: number;
  /** What every producer decides about a message. */
  readonly isCommitted: (body: string) => boolean;
}

export interface TransactionJudgement {
  /** In sentences; empty if all is as it should be. */
  readonly violations: readonly string[];
  readonly committed: number;
  readonly rolledBack: number;
  /** Delivered although the answer to their half message never reached the producer. */
  readonly unanswered: number;
}

/** Producer and consumer read the same clock, in whole milliseconds. */
const CLOCK_STEP_MS = 1;

export function judgeTransactions(history: TransactionHistory): TransactionJudgement {
  const { sent, decidedAtMs, deliveries, open, isCommitted } = history;
  const violations: string[] = [];
  const delivered = new Set<string>();
  let unanswered = 0;
  for (const { body, atMs } of deliveries) {
    if (delivered.has(body)) violations.push(`${body} came twice`);
    delivered.add(body);
    const decided = decidedAtMs.get(body);
    if (!isCommitted(body)) violations.push(`${body} was rolled back and came`);
    if (decided === undefined) violations.push(`${body} came and nobody has decided about it`);
    else if (atMs < decided - CLOCK_STEP_MS) violations.push(`${body} came ${decided - atMs} ms before its end`);
    if (!sent.has(body)) unanswered++;
  }
  let committed = 0;
  for (const body of sent) {
    if (!isCommitted(body)) continue;
    committed++;
    if (!delivered.has(body)) violations.push(`${body} was committed and never came`);
  }
  if (open > 0) violations.push(`${open} half messages are open in the end`);
  return { violations, committed, rolledBack: sent.size - committed, unanswered };
}
