// Hashes that are stored in the log or decide where a message goes. They must give the same on every machine and in
// every version, so they are written out here. None of them is meant to resist an attacker; where a collision would
// do harm the bytes are compared as well, or the state seeds the hash with a number that strangers do not know.

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a over the UTF-16 units of the text, finished with the murmur3 mixer. Unsigned 32 bit. */
export function hash32(text: string, seed = 0): number {
  let h = FNV_OFFSET ^ seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    h = Math.imul(h ^ (unit & 0xff), FNV_PRIME);
    if (unit > 0xff) h = Math.imul(h ^ (unit >>> 8), FNV_PRIME);
  }
  return mix32(h);
}

export function mix32(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 53-bit hash as an exact number; 0 is returned only for the empty text, so that 0 can mean "none". */
export function hash53(text: string): number {
  if (text === '') return 0;
  const value = (hash32(text, 0x5bd1e995) & 0x1fffff) * 0x1_0000_0000 + hash32(text);
  return value === 0 ? 1 : value;
}

const LANE_A = 0x9e3779b1;
const LANE_B = 0x85ebca77;

/**
 * A 52-bit hash of a number and a text together, as an exact number. Two lanes that multiply and fold differently:
 * where two texts meet by chance in one of them, they do not in the other. (FNV-1a with two seeds would not do: whether
 * two texts of one length meet in it depends on the low eight bits of the seed alone.)
 */
export function seededHash52(text: string, seed: number): number {
  let a = mix32(seed);
  let b = mix32(~seed);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, LANE_A);
    a ^= a >>> 15;
    b = Math.imul(b ^ unit, LANE_B);
    b ^= b >>> 13;
  }
  return (mix32(a) & 0xfffff) * 0x1_0000_0000 + mix32(b);
}
