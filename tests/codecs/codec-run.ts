// Any number of inputs from one seed, through every codec that is written by hand: some valid, more of them damaged.
// The same seed gives the same inputs; a disagreement names the seed of its own input, which alone shows it again.
import { SeededRandom } from '../simulation/random.ts';
import { ANSWER_CASES } from './answer-cases.ts';
import type { CodecCase, Fate } from './codec-case.ts';
import { DATA_PLANE_CASES } from './data-plane-cases.ts';
import { mutated } from './mutated-bytes.ts';
import { REQUEST_CASES } from './public-cases.ts';

export const CODEC_CASES: readonly CodecCase[] = [...REQUEST_CASES, ...ANSWER_CASES, ...DATA_PLANE_CASES];

export interface CodecCount {
  readonly name: string;
  valid: number;
  readonly damaged: Record<Fate, number>;
}

/** Damaged bytes of one valid message. */
const DAMAGED_OF_EACH = 3;

export class CodecRun {
  readonly counts: readonly CodecCount[] = CODEC_CASES.map(({ name }) => ({
    name,
    valid: 0,
    damaged: { 'read the same': 0, read: 0, refused: 0 },
  }));
  readonly #seeds: SeededRandom;
  inputs = 0;

  constructor(seed: number) {
    this.#seeds = new SeededRandom(seed);
  }

  /** One valid message of each codec, and damaged bytes of it. */
  round(): void {
    for (const [i, codec] of CODEC_CASES.entries()) this.#input(codec, this.counts[i]!, this.#seeds.uint32());
  }

  #input(codec: CodecCase, count: CodecCount, seed: number): void {
    const random = new SeededRandom(seed);
    let bytes: Buffer = Buffer.alloc(0);
    try {
      bytes = codec.valid(random);
      count.valid++;
      this.inputs++;
      if (codec.damaged === undefined) return;
      const whole = bytes;
      for (let left = DAMAGED_OF_EACH; left > 0; left--) {
        bytes = mutated(whole, random);
        count.damaged[codec.damaged(bytes)]++;
        this.inputs++;
      }
    } catch (thrown) {
      const text = `${codec.name}, input ${seed}, bytes ${bytes.toString('hex')}`;
      throw new Error(`${text}\n${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
    }
  }
}
