// Tells every broker which consumers are online at this proxy, every ten seconds, and at once when one has gone, so
// that its messages go to others, or when an answer to it may have been lost. What a broker could not be told is kept
// for the next report to that broker set.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Logger, Timers } from '@fulmar/core/ports.ts';
import type { Cluster } from '@fulmar/core/route.ts';
import type { Sessions } from './sessions.ts';

const REPORT_EVERY_MS = 10_000;
const SWEEP_EVERY_MS = 2_500;

export interface ReporterDependencies {
  readonly cluster: Cluster;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly proxyId: string;
}

interface Recipient {
  readonly gone: Set<string>;
  readonly doubtful: Set<string>;
  readonly lost: Set<string>;
  underWay: boolean;
  /** Something happened while a report was under way. */
  again: boolean;
}

export interface Reporter {
  start(): void;
  stop(): void;
}

export function createReporter(
  { cluster, timers, logger, proxyId }: ReporterDependencies,
  sessions: Sessions,
): Reporter {
  const recipients = new Map<string, Recipient>();
  let stopped = true;
  let gathering = false;

  function recipientOf(set: string): Recipient {
    let recipient = recipients.get(set);
    if (recipient === undefined) {
      recipient = { gone: new Set(), doubtful: new Set(), lost: new Set(), underWay: false, again: false };
      recipients.set(set, recipient);
    }
    return recipient;
  }

  async function report(set: string, broker: BrokerApi): Promise<void> {
    const recipient = recipientOf(set);
    if (recipient.underWay) {
      recipient.again = true;
      return;
    }
    recipient.underWay = true;
    recipient.again = false;
    // Who has come back meanwhile is not gone.
    const gone = [...recipient.gone].filter((clientId) => sessions.get(clientId) === undefined);
    recipient.gone.clear();
    const doubtful = [...recipient.doubtful];
    recipient.doubtful.clear();
    const lost = [...recipient.lost].filter((clientId) => sessions.get(clientId)?.isLost);
    recipient.lost.clear();
    try {
      await broker.reportClients({ proxyId, online: sessions.online(), gone, doubtful, lost });
    } catch (thrown) {
      for (const clientId of gone) recipient.gone.add(clientId);
      for (const clientId of doubtful) recipient.doubtful.add(clientId);
      for (const clientId of lost) recipient.lost.add(clientId);
      logger.warn('a broker could not be told who is online', { set, error: String(thrown) });
    }
    recipient.underWay = false;
    if (recipient.again && !stopped) await report(set, broker);
  }

  function reportToAll(): void {
    for (const { set, api } of cluster.brokers()) void report(set, api);
  }

  /** Every broker is told soon. */
  function tell(kind: 'gone' | 'doubtful' | 'lost', clientId: string): void {
    for (const { set } of cluster.brokers()) recipientOf(set);
    for (const { [kind]: told } of recipients.values()) {
      if (told.size >= LIMITS.clientSessions) told.delete(told.keys().next().value!);
      told.add(clientId);
    }
    if (gathering || stopped) return;
    gathering = true;
    timers.soon(() => {
      gathering = false;
      if (!stopped) reportToAll();
    });
  }

  sessions.onGone((clientId) => tell('gone', clientId));
  sessions.onDoubt((clientId) => tell('doubtful', clientId));
  sessions.onLost((clientId) => tell('lost', clientId));

  function every(intervalMs: number, work: () => void): void {
    timers.after(intervalMs, () => {
      if (stopped) return;
      work();
      every(intervalMs, work);
    });
  }

  return {
    start() {
      stopped = false;
      every(REPORT_EVERY_MS, reportToAll);
      every(SWEEP_EVERY_MS, () => sessions.sweep());
    },
    stop() {
      stopped = true;
    },
  };
}
