// How a proxy of several workers is divided: how many there are, what each may take, and what it is told to begin with.
import type { Settings } from '@fulmar/core/config.ts';
import { workerShareBytes, workersThatFit } from '@fulmar/core/memory-bounds.ts';
import { showBytes } from '@fulmar/core/quantities.ts';
import type { KeyPair } from '@fulmar/runtime/certificates.ts';
import type { PROXY_SETTINGS } from './config.ts';

export interface ProxyWork {
  /** With its share of the memory as the limit. */
  readonly settings: Settings<typeof PROXY_SETTINGS>;
  readonly labels: Readonly<Record<string, string>>;
  readonly number: number;
  /** The shared one. */
  readonly port: number;
  /** The same for all, so that a client sees one certificate. */
  readonly keyPair: KeyPair;
}

export interface RunningWorkers {
  readonly port: number;
  unready(): string | undefined;
  /** The metrics of each worker that answers. */
  metricsPages(): Promise<readonly string[]>;
  stop(withinMs: number): Promise<void>;
}

/** How long a page of metrics waits for a worker. */
export const METRICS_MS = 5_000;

export interface Shares {
  readonly workers: number;
  readonly shareBytes: number;
}

/** Of `workers: 0` as many as there are cores but one, which the kernel and the parent share, and as have room. */
export function shareOut(settings: { readonly workers: number }, cores: number, limitBytes: number): Shares {
  const fitting = workersThatFit(limitBytes);
  const automatic = Math.max(1, Math.min(cores - 1, fitting));
  const workers = settings.workers === 0 ? automatic : settings.workers;
  if (workers > Math.max(1, fitting)) {
    throw new Error(
      `${workers} workers do not fit into ${showBytes(limitBytes)}: each needs 256MiB, and their parent 128MiB. ` +
        'Give more by --memory-limit, or fewer workers.',
    );
  }
  return { workers, shareBytes: workerShareBytes(limitBytes, workers) };
}
