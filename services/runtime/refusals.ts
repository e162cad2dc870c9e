// Connections that a port has turned away: each is counted, and for each reason one line in the log every ten seconds
// at most says who came last and how many there were, so that strangers can fill neither memory nor disk.
import type { Logger, Observer } from '@fulmar/core/ports.ts';

export type RefusalReason =
  | 'too-many'
  | 'silent'
  | 'no-tls'
  | 'no-plaintext'
  | 'no-certificate'
  | 'foreign-certificate'
  | 'handshake';

export interface Refusal {
  readonly reason: RefusalReason;
  /** Address of whoever came; empty when it is not known any more. */
  readonly peer: string;
  /** What the library said of it. */
  readonly detail?: string;
}

const LINE_EVERY_MS = 10_000;

export function refusals(
  logger: Logger,
  observer: Observer,
  nowMs: () => number = () => performance.now(),
): (refusal: Refusal) => void {
  const said = new Map<RefusalReason, { readonly atMs: number; unsaid: number }>();
  return ({ reason, peer, detail }) => {
    observer.count('fulmar_grpc_connections_refused_total', { reason }, 1);
    const last = said.get(reason);
    const atMs = nowMs();
    if (last !== undefined && atMs - last.atMs < LINE_EVERY_MS) {
      last.unsaid++;
      return;
    }
    const count = 1 + (last?.unsaid ?? 0);
    logger.warn('connections were refused', {
      reason,
      peer,
      ...(detail === undefined ? {} : { detail }),
      count,
    });
    said.set(reason, { atMs, unsaid: 0 });
  };
}
