// Unpacks compressed messages, one at a time for the whole server: what a message grows to is known only afterwards,
// so that no more than one can be growing. No official client compresses; this is for tools that do.
import { gunzip, inflate } from 'node:zlib';

export type Inflated = (content: Buffer | 'too-large' | 'broken') => void;

/** `grpc-encoding` values beside "identity". */
export const PACKED_ENCODINGS: ReadonlySet<string> = new Set(['gzip', 'deflate']);

interface Job {
  /** Undefined: not packed, only in line behind what is. */
  readonly encoding: string | undefined;
  readonly packed: Buffer;
  /** Whether anybody still waits for it. */
  readonly isWanted: () => boolean;
  readonly done: Inflated;
}

export class Inflater {
  readonly #contentBytesMax: number;
  #jobs: Job[] = [];
  #busy = false;

  constructor(contentBytesMax: number) {
    this.#contentBytesMax = contentBytesMax;
  }

  inflate(job: Job): void {
    this.#jobs.push(job);
    if (!this.#busy) this.#run();
  }

  #run(): void {
    this.#busy = true;
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      const { encoding, packed, done } = job;
      if (encoding === undefined || !job.isWanted()) {
        done(packed);
        continue;
      }
      const unpack = encoding === 'gzip' ? gunzip : inflate;
      unpack(packed, { maxOutputLength: this.#contentBytesMax }, (error, content) => {
        if (error === null) done(content);
        else done((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'broken');
        this.#run();
      });
      return;
    }
    this.#busy = false;
  }
}
