// Random messages of any type of the protos. Every field may be absent; numbers like their edges, texts are empty,
// short or long, plain or not. What a codec does not take for a value is put right by the caller.
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { SeededRandom } from '../simulation/random.ts';
import { type Field, numbersOf, submessageOf, type Type } from './schema.ts';

/** By the name of a type: changes a random message of it into one that has a meaning. */
export type Meanings = Readonly<Record<string, (message: Message, random: SeededRandom) => void>>;

const LETTERS = ['a', 'Z', '0', '-', '_', '%', ' ', '"', '\n', '\u0000', 'ä', '\u07ff', '€', '\uffff', '😀', '𝄞'];
const REPEATED_MAX = 3;

export function randomText(random: SeededRandom): string {
  const kind = random.below(8);
  if (kind === 0) return '';
  const letters = kind < 5 ? 6 : LETTERS.length;
  const length = kind === 7 ? random.below(200) : 1 + random.below(12);
  let text = '';
  for (let i = 0; i < length; i++) text += LETTERS[random.below(letters)];
  return text;
}

export function randomBytes(random: SeededRandom): Buffer {
  const bytes = Buffer.alloc(random.chance(0.1) ? random.below(400) : random.below(24));
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  return bytes;
}

const INT32_EDGES = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1];
const INT64_EDGES = [...INT32_EDGES, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 35, 1_700_000_000_000, 2 ** 53 - 1];

export function randomWhole(random: SeededRandom, edges: readonly number[]): number {
  const edge = random.pick(edges);
  return random.chance(0.5) ? edge : random.below(edge + 1);
}

function randomScalar(random: SeededRandom, type: string): unknown {
  switch (type) {
    case 'string':
      return randomText(random);
    case 'bytes':
      return randomBytes(random);
    case 'bool':
      return random.chance(0.5);
    case 'int32':
      return random.chance(0.2) ? -1 - randomWhole(random, INT32_EDGES) : randomWhole(random, INT32_EDGES);
    case 'uint32':
      return randomWhole(random, [...INT32_EDGES, 2 ** 32 - 1]);
    case 'int64':
      return random.chance(0.1) ? -1 - randomWhole(random, INT32_EDGES) : randomWhole(random, INT64_EDGES);
    case 'uint64':
      return randomWhole(random, INT64_EDGES);
    default:
      throw new Error(`No hot message has a field of type ${type}.`);
  }
}

function randomValue(random: SeededRandom, field: Field, meanings: Meanings): unknown {
  const submessage = submessageOf(field);
  if (submessage !== undefined) return randomMessage(random, submessage, meanings);
  const numbers = numbersOf(field);
  return numbers === undefined ? randomScalar(random, field.type) : random.pick(numbers);
}

export function randomMessage(random: SeededRandom, type: Type, meanings: Meanings = {}): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  const chosen = new Map(type.oneofsArray.map((oneof) => [oneof, random.pick(oneof.fieldsArray)]));
  for (const field of type.fieldsArray) {
    if (field.partOf !== null && chosen.get(field.partOf) !== field) continue;
    if (field.partOf === null && random.chance(0.3)) continue;
    if (field.map) {
      const entries = Array.from({ length: random.below(REPEATED_MAX + 1) }, () => [
        randomText(random),
        randomValue(random, field, meanings),
      ]);
      message[field.name] = Object.fromEntries(entries);
    } else if (field.repeated) {
      const length = random.below(REPEATED_MAX + 1);
      message[field.name] = Array.from({ length }, () => randomValue(random, field, meanings));
    } else message[field.name] = randomValue(random, field, meanings);
  }
  meanings[type.name]?.(message, random);
  return message;
}
