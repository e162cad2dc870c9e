// Damage to the bytes of a message: what a broken, hostile or foreign client could send. From flipped bits to whole
// fields that come twice, and numbers written longer than they need be.
import type { SeededRandom } from '../simulation/random.ts';

type Damage = (bytes: Buffer, random: SeededRandom) => Buffer;

/** Contents of fields that nobody knows, and their wire types; the last two are of no type that there is. */
const UNKNOWN: readonly (readonly [Buffer, number])[] = [
  [Buffer.from([0x01]), 0],
  [Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), 0],
  [Buffer.alloc(8, 7), 1],
  [Buffer.from([3, 1, 2, 3]), 2],
  [Buffer.from([0]), 2],
  [Buffer.alloc(4, 7), 5],
  [Buffer.alloc(3, 7), 5],
  [Buffer.from([1]), 6],
];

const INTERESTING = [0x00, 0x01, 0x02, 0x05, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x10, 0x12, 0x1a, 0x22, 0x7f, 0x80, 0xff];

function spliced(bytes: Buffer, from: number, to: number, middle: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(to)]);
}

const DAMAGES: readonly Damage[] = [
  // One bit.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    const at = random.below(copy.length);
    copy[at] = copy[at]! ^ (1 << random.below(8));
    return copy;
  },
  // One byte: a tag, a length or a number that means something else.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    copy[random.below(copy.length)] = random.chance(0.7) ? random.pick(INTERESTING) : random.below(256);
    return copy;
  },
  // Another letter in a text, or one that is no UTF-8; elsewhere another small number.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let tries = 8; tries > 0; tries--) {
      const at = random.below(copy.length);
      const isLetter = copy[at]! >= 0x23 && copy[at]! < 0x7f;
      if (isLetter || tries === 1) {
        copy[at] = isLetter && random.chance(0.1) ? 0xc0 : 0x20 + random.below(0x5f);
        break;
      }
    }
    return copy;
  },
  // The end is missing.
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  // Some bytes are missing.
  (bytes, random) => {
    const from = random.below(bytes.length);
    return spliced(bytes, from, Math.min(bytes.length, from + 1 + random.below(4)), Buffer.alloc(0));
  },
  // Some bytes too many.
  (bytes, random) => {
    const more = Buffer.from(Array.from({ length: 1 + random.below(4) }, () => random.pick(INTERESTING)));
    const at = random.below(bytes.length + 1);
    return spliced(bytes, at, at, more);
  },
  // A part comes twice.
  (bytes, random) => {
    const from = random.below(bytes.length);
    const to = from + random.below(bytes.length - from + 1);
    const at = random.below(bytes.length + 1);
    return spliced(bytes, at, at, bytes.subarray(from, to));
  },
  // The same message once more behind itself: every field comes twice.
  (bytes) => Buffer.concat([bytes, bytes]),
  // A field that nobody knows, in each wire type, before or behind everything else.
  (bytes, random) => {
    const number = 200 + random.below(1_000);
    const field = Buffer.concat([Buffer.from([((number << 3) & 0x7f) | 0x80, number >>> 4]), Buffer.alloc(0)]);
    const [content, wire] = random.pick(UNKNOWN);
    field[0] = field[0]! | wire;
    const whole = Buffer.concat([field, content]);
    return random.chance(0.5) ? Buffer.concat([whole, bytes]) : Buffer.concat([bytes, whole]);
  },
  // A number with needless bytes behind it.
  (bytes, random) => {
    const at = random.below(bytes.length);
    const copy = Buffer.from(bytes);
    copy[at] = copy[at]! | 0x80;
    const padding = Buffer.alloc(random.below(10), 0x80);
    return spliced(copy, at + 1, at + 1, Buffer.concat([padding, Buffer.from([random.below(2)])]));
  },
];

/** `bytes` with one damage, or some. */
export function mutated(bytes: Buffer, random: SeededRandom): Buffer {
  let result = bytes;
  for (let left = random.chance(0.7) ? 1 : 2 + random.below(3); left > 0; left--) {
    result = result.length === 0 ? randomTail(random) : random.pick(DAMAGES)(result, random);
  }
  return result;
}

function randomTail(random: SeededRandom): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.below(6) }, () => random.pick(INTERESTING)));
}
