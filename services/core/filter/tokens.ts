// Cuts an SQL filter into its words, numbers, texts and signs. Every token knows where it began, so that an error can
// name the place. Comments and white space are passed over; what belongs to no token is an error.

/** An expression that is not of the dialect. Caught where the expression came in; never leaves this directory. */
export class FilterSyntaxError extends Error {
  /** Index of the character at which the trouble begins. */
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.name = 'FilterSyntaxError';
    this.at = at;
  }
}

export type TokenKind = 'keyword' | 'name' | 'number' | 'text' | 'sign' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Keywords in capitals, names and numbers as written, texts without their quotes. */
  readonly value: string;
  readonly at: number;
}

const KEYWORDS = new Set('AND OR NOT BETWEEN IN IS NULL TRUE FALSE CONTAINS STARTSWITH ENDSWITH'.split(' '));

const SPACE = /[ \t\n\r\f]+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?\*\//y;
const WORD = /[a-zA-Z_$][a-zA-Z0-9_$]*/y;
const NUMBER = /(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y;
const TEXT = /'(?:[^']|'')*'/y;
const SIGN = /<>|<=|>=|[=<>(),+-]/y;

/** All tokens, with one of kind `end` behind the last. Throws FilterSyntaxError. */
export function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  let at = pastSpace(expression, 0);
  while (at < expression.length) {
    const { token, length } = tokenAt(expression, at);
    tokens.push(token);
    at = pastSpace(expression, at + length);
  }
  tokens.push({ kind: 'end', value: '', at });
  return tokens;
}

function matched(pattern: RegExp, expression: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(expression)?.[0];
}

function pastSpace(expression: string, from: number): number {
  let at = from;
  for (;;) {
    const passed =
      matched(SPACE, expression, at) ?? matched(LINE_COMMENT, expression, at) ?? matched(BLOCK_COMMENT, expression, at);
    if (passed === undefined) return at;
    at += passed.length;
  }
}

interface SizedToken {
  readonly token: Token;
  readonly length: number;
}

function tokenAt(expression: string, at: number): SizedToken {
  const word = matched(WORD, expression, at);
  if (word !== undefined) {
    const capitals = word.toUpperCase();
    const isKeyword = KEYWORDS.has(capitals);
    const token: Token = { kind: isKeyword ? 'keyword' : 'name', value: isKeyword ? capitals : word, at };
    return { token, length: word.length };
  }
  const digits = matched(NUMBER, expression, at);
  if (digits !== undefined) return numberAt(digits, expression, at);
  const text = matched(TEXT, expression, at);
  if (text !== undefined) {
    return { token: { kind: 'text', value: text.slice(1, -1).replaceAll("''", "'"), at }, length: text.length };
  }
  const sign = matched(SIGN, expression, at);
  if (sign !== undefined) return { token: { kind: 'sign', value: sign, at }, length: sign.length };
  throw strayCharacter(expression, at);
}

function numberAt(digits: string, expression: string, at: number): SizedToken {
  // A whole number may carry the L of Java's long.
  const isLong = /^[0-9]+$/.test(digits) && /[lL]/.test(expression[at + digits.length] ?? '');
  const length = digits.length + (isLong ? 1 : 0);
  if (/[a-zA-Z0-9_$.]/.test(expression[at + length] ?? '')) {
    throw new FilterSyntaxError(at, 'A number ends in a letter or a second point. Write it as 5, 5.5 or 5e3.');
  }
  return { token: { kind: 'number', value: digits, at }, length };
}

const ADVICE: Readonly<Record<string, string>> = {
  "'": 'A text has no closing quote. Write a quote inside a text twice.',
  '"': 'A text stands between single quotes.',
  '`': 'The name of a property stands without quotes.',
  '!': 'Write <> for "not equal".',
  '/': 'A comment has no end, or something is divided. There is no arithmetic.',
  '*': 'There is no arithmetic.',
  '%': 'There is no arithmetic.',
};

function strayCharacter(expression: string, at: number): FilterSyntaxError {
  const character = String.fromCodePoint(expression.codePointAt(at)!);
  const advice = ADVICE[character] ?? 'Names of properties have letters of English, digits, _ and $.';
  return new FilterSyntaxError(at, `"${character}" does not belong here. ${advice}`);
}
