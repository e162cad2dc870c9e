// Certificate, key and authority of a port on which both sides show who they are, from three files. They are looked at
// every ten seconds; a changed set is used from then on if it fits together, else the one before stays.
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Logger, Timer, Timers } from '@fulmar/core/ports.ts';
import type { KeyPair } from './certificates.ts';

export interface MutualTlsFiles {
  /** PEM files: own certificate with what leads to the authority, its key, the authority's certificates. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

const LOOK_MS = 10_000;

export class MutualTls {
  /** What is shown, and who must have signed what the other side shows. */
  pair: Required<KeyPair>;
  readonly #files: MutualTlsFiles;
  readonly #timers: Timers;
  readonly #logger: Logger;
  #stamp: string;
  #timer: Timer | undefined;
  readonly #listeners: ((pair: KeyPair) => void)[] = [];
  #closed = false;

  private constructor(pair: Required<KeyPair>, stamp: string, files: MutualTlsFiles, timers: Timers, logger: Logger) {
    this.pair = pair;
    this.#stamp = stamp;
    this.#files = files;
    this.#timers = timers;
    this.#logger = logger;
    this.#lookLater();
  }

  /** Rejects when a file cannot be read or does not fit the others. */
  static async open(files: MutualTlsFiles, timers: Timers, logger: Logger): Promise<MutualTls> {
    const stamp = await stampOf(files);
    return new MutualTls(await readPair(files), stamp, files, timers, logger);
  }

  /** For connections made from then on. */
  onChange(listener: (pair: KeyPair) => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#timers.after(LOOK_MS, () => void this.look());
  }

  /** Looks now. Never rejects. */
  async look(): Promise<void> {
    this.#timer?.cancel();
    try {
      const stamp = await stampOf(this.#files);
      if (stamp !== this.#stamp) {
        this.pair = await readPair(this.#files);
        this.#stamp = stamp;
        this.#logger.info('the certificate of a port with TLS has been replaced', { file: this.#files.cert });
        if (!this.#closed) for (const listener of this.#listeners) listener(this.pair);
      }
    } catch (error) {
      // Perhaps half of the files have been replaced: looked at again soon.
      this.#logger.warn('a new certificate cannot be used; the one before stays', { error: String(error) });
    }
    if (!this.#closed) this.#lookLater();
  }
}

async function stampOf(files: MutualTlsFiles): Promise<string> {
  const found = await Promise.all([files.cert, files.key, files.ca].map((file) => stat(file, { bigint: true })));
  return found.map(({ mtimeNs, ino, size }) => `${mtimeNs}/${ino}/${size}`).join(' ');
}

async function readPair(files: MutualTlsFiles): Promise<Required<KeyPair>> {
  const [cert, key, clientCa] = await Promise.all(
    [files.cert, files.key, files.ca].map((file) => readFile(file, 'utf8')),
  );
  const pair = { cert: cert!, key: key!, clientCa: clientCa! };
  try {
    createSecureContext({ cert: pair.cert, key: pair.key, ca: pair.clientCa });
  } catch (error) {
    throw new Error(
      `The files ${files.cert}, ${files.key} and ${files.ca} are no certificate, its key and an authority in PEM.`,
      { cause: error },
    );
  }
  return pair;
}
