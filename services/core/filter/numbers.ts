// The numbers of filters: literals, and properties whose text is a number. Whole numbers are exact however long; those
// with a point or an exponent are doubles. A text that is no number is `undefined`, never an error.
import type { Numeric } from './expression.ts';

/** Characters that a number has at most; a longer text is none. */
export const NUMBER_LENGTH_MAX = 64;

/** So many digits always fit into a double exactly. */
const EXACT_DIGITS = 15;
const WHOLE = /^[+-]?[0-9]+$/;
const FRACTION = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const MINUS = 0x2d;
const PLUS = 0x2b;
const ZERO = 0x30;

export function numberOf(text: string): Numeric | undefined {
  if (text.length > NUMBER_LENGTH_MAX) return undefined;
  if (WHOLE.test(text)) {
    const rounded = Number(text);
    // A double has a -0, which is the same whole number.
    return Number.isSafeInteger(rounded) ? rounded + 0 : BigInt(text.startsWith('+') ? text.slice(1) : text);
  }
  if (!FRACTION.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** The same for the bytes of a text. Short whole numbers, nearly all there are, are read without making a string. */
export function numberIn(bytes: Buffer, from: number, end: number): Numeric | undefined {
  const first = bytes[from];
  const digitsFrom = first === MINUS || first === PLUS ? from + 1 : from;
  const digits = end - digitsFrom;
  if (from < end && digits > 0 && digits <= EXACT_DIGITS) {
    let value = 0;
    let at = digitsFrom;
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === end) return first === MINUS ? 0 - value : value;
  }
  return end - from > NUMBER_LENGTH_MAX ? undefined : numberOf(bytes.toString('latin1', from, end));
}
