// One codec written by hand, and what it is held against. A case makes a valid message, shows that both codecs take it
// for the same, and says how damaged bytes are to be judged.
import { isDeepStrictEqual } from 'node:util';
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import type { SeededRandom } from '../simulation/random.ts';

/** What became of damaged bytes. */
export type Fate = 'read the same' | 'read' | 'refused';

export interface CodecCase {
  readonly name: string;
  /** Valid bytes; throws a Disagreement when the codecs do not take them for the same. */
  valid(random: SeededRandom): Buffer;
  /** Throws a Disagreement, or what the codec should never throw. Undefined for what is only written. */
  readonly damaged?: (bytes: Buffer) => Fate;
}

export class Disagreement extends Error {}

export function agree(what: string, ours: unknown, theirs: unknown): void {
  if (isDeepStrictEqual(ours, theirs)) return;
  throw new Disagreement(`${what}:\n  by hand   ${JSON.stringify(ours)}\n  by protos ${JSON.stringify(theirs)}`);
}

/** The value, or the sentence of the refusal; anything else that is thrown goes on. */
export function attempt<T>(read: () => T): { readonly value: T } | { readonly refusal: string } {
  try {
    return { value: read() };
  } catch (thrown) {
    if (thrown instanceof ProtobufError && thrown.message !== '') return { refusal: thrown.message };
    throw thrown;
  }
}

export function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
