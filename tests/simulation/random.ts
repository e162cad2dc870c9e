// Chance that repeats: the same seed gives the same numbers on every machine and in every version.
import type { Random } from '@fulmar/core/ports.ts';

/** xoshiro128**, seeded through a 32-bit mixer. */
export class SeededRandom implements Random {
  private readonly state = new Uint32Array(4);

  constructor(seed: number) {
    let next = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      next = (next + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(next ^ (next >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      this.state[i] = mixed ^ (mixed >>> 15);
    }
  }

  uint32(): number {
    const s = this.state;
    const fifth = Math.imul(s[1]!, 5);
    const result = Math.imul((fifth << 7) | (fifth >>> 25), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor((this.uint32() / 0x1_0000_0000) * bound);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(probability: number): boolean {
    return this.uint32() < probability * 0x1_0000_0000;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** An independent source whose numbers do not depend on how many this one gives later. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32());
  }
}
