// Keeps a broker registered at every NameServer there is. The addresses are asked for again and again, because
// NameServers move: a new address gets a stream, one that is gone loses it, the others never notice.
import type { ResolveAddresses } from '@fulmar/core/name-service.ts';
import type { Timer } from '@fulmar/core/ports.ts';
import { type LinkParts, RegistrationLink, type RegistrationSource } from './registration-link.ts';

export type { RegistrationSource } from './registration-link.ts';

export interface RegistrationParts extends LinkParts {
  readonly resolve: ResolveAddresses;
  readonly source: RegistrationSource;
}

export interface Registration {
  /** These topics have come into being, have changed, or are gone. */
  topicsChanged(names: Iterable<string>): void;
  /** Role, epoch or address is different now. Call it at once: routes follow it. */
  entryChanged(): void;
  /** Whether one has registered it since the start. */
  readonly everRegistered: boolean;
  /** Says goodbye to all of them. */
  close(): void;
}

const RESOLVE_EVERY_MS = 5_000;

export function startRegistration(parts: RegistrationParts): Registration {
  const links = new Map<string, RegistrationLink>();
  let timer: Timer | undefined;
  let closed = false;
  let lastProblem = '';
  let everRegistered = false;
  const onRegistered = (): void => {
    everRegistered = true;
  };

  const follow = (addresses: readonly string[]): void => {
    for (const [address, link] of links) {
      if (addresses.includes(address)) continue;
      // Proxies may still use a NameServer whose name is gone: its stream is kept for as long as it lives.
      if (link.registered) continue;
      link.close();
      links.delete(address);
    }
    for (const address of addresses) {
      if (!links.has(address)) links.set(address, new RegistrationLink(address, parts.source, parts, onRegistered));
    }
  };

  const resolve = async (): Promise<void> => {
    try {
      const addresses = await parts.resolve();
      lastProblem = '';
      if (!closed) follow(addresses);
    } catch (problem) {
      // The streams that exist go on; what cannot be resolved is asked for again.
      const reason = problem instanceof Error ? problem.message : String(problem);
      if (reason !== lastProblem) parts.log.warn('the addresses of the NameServers are not known', { reason });
      lastProblem = reason;
    }
    if (!closed) timer = parts.timers.after(RESOLVE_EVERY_MS, () => void resolve());
  };

  void resolve();
  return {
    topicsChanged(names) {
      for (const link of links.values()) link.topicsChanged(names);
    },
    entryChanged() {
      for (const link of links.values()) link.entryChanged();
    },
    get everRegistered() {
      return everRegistered;
    },
    close() {
      closed = true;
      timer?.cancel();
      for (const link of links.values()) link.close();
      links.clear();
    },
  };
}
