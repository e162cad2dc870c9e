// The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B). Decoding walks a table four bits at a time; no
// code is shorter than five bits, so that each step gives at most one byte.

/**
 * Bits of the code of each byte value, and of the end mark (256). Codes of one length are given out in order of value.
 */
// biome-ignore format: a table
const CODE_BITS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const END_MARK = 256;
const LONGEST_BITS = 30;

/** For tests, which encode too. */
export function huffmanCodes(): { readonly code: number; readonly bits: number }[] {
  const codes: { code: number; bits: number }[] = [];
  let code = 0;
  for (let bits = 1; bits <= LONGEST_BITS; bits++) {
    code *= 2;
    for (let symbol = 0; symbol <= END_MARK; symbol++) {
      if (CODE_BITS[symbol] === bits) codes[symbol] = { code: code++, bits };
    }
  }
  return codes;
}

/** What four bits do in a state: bits 0-7 the next state, 8-15 the byte that they finish, and these two marks. */
const EMITS = 1 << 16;
const FAILS = 1 << 17;

const steps = new Int32Array(256 * 16);
/** States in which a string may end: fewer than eight bits are left over, and all of them are ones. */
const mayEnd = new Uint8Array(256);

interface Node {
  readonly state: number;
  readonly branches: (Node | number | undefined)[];
}

function buildTables(): void {
  let states = 0;
  const root: Node = { state: states++, branches: [] };
  for (const [symbol, { code, bits }] of huffmanCodes().entries()) {
    let node = root;
    for (let bit = bits - 1; bit > 0; bit--) {
      const branch = Math.floor(code / 2 ** bit) % 2;
      node.branches[branch] ??= { state: states++, branches: [] };
      node = node.branches[branch] as Node;
    }
    node.branches[code % 2] = symbol;
  }
  const fill = (node: Node) => {
    for (let nibble = 0; nibble < 16; nibble++) steps[node.state * 16 + nibble] = walk(root, node, nibble);
    for (const branch of node.branches) if (typeof branch === 'object') fill(branch);
  };
  fill(root);
  let node = root;
  for (let ones = 0; ones < 8; ones++) {
    mayEnd[node.state] = 1;
    node = node.branches[1] as Node;
  }
}

function walk(root: Node, from: Node, nibble: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = node.branches[(nibble >> bit) & 1];
    if (typeof next === 'object') {
      node = next;
      continue;
    }
    // The end mark never stands in a string: RFC 7541 section 5.2.
    if (next === undefined || next === END_MARK) return FAILS;
    emitted = EMITS | (next << 8);
    node = root;
  }
  return emitted | node.state;
}

buildTables();

/** Bytes that a coded string of this length can have at most. */
export function decodedBytesMax(codedBytes: number): number {
  return Math.floor((codedBytes * 8) / 5);
}

/**
 * Decodes `bytes[from..end)` to the beginning of `target`, which has room. Returns the length, or -1 if it is no code.
 */
export function decodeHuffman(bytes: Uint8Array, from: number, end: number, target: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let i = from; i < end; i++) {
    const byte = bytes[i]!;
    let step = steps[(state << 4) | (byte >> 4)]!;
    if (step >= EMITS) {
      if (step >= FAILS) return -1;
      target[length++] = (step >> 8) & 0xff;
    }
    step = steps[((step & 0xff) << 4) | (byte & 15)]!;
    if (step >= EMITS) {
      if (step >= FAILS) return -1;
      target[length++] = (step >> 8) & 0xff;
    }
    state = step & 0xff;
  }
  return mayEnd[state] === 1 ? length : -1;
}
