import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Field } from './header-field.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { STATIC_TABLE } from './hpack-static-table.ts';
import { decodeHuffman, huffmanCodes } from './huffman.ts';
import { plainBlock, ResponseBlocks } from './response-blocks.ts';
import { Dice } from './testing.ts';

type Pair = [string, string];

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

function decode(decoder: HpackDecoder, block: Buffer): Pair[] | undefined {
  const fields: Field[] = [];
  if (!decoder.decode(block, 0, block.length, fields)) return undefined;
  return fields.map(({ name, value }) => [name, value]);
}

function huffman(text: string): Buffer {
  const codes = huffmanCodes();
  let bits = '';
  for (const byte of Buffer.from(text, 'latin1')) {
    const { code, bits: length } = codes[byte]!;
    bits += code.toString(2).padStart(length, '0');
  }
  bits += '1'.repeat((8 - (bits.length % 8)) % 8);
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

describe('the examples of RFC 7541, appendix C', () => {
  const request1: Pair[] = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  const request2: Pair[] = [...request1, ['cache-control', 'no-cache']];
  const request3: Pair[] = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ];
  const date1 = 'Mon, 21 Oct 2013 20:13:21 GMT';
  const location: Pair = ['location', 'https://www.example.com'];
  const response1: Pair[] = [[':status', '302'], ['cache-control', 'private'], ['date', date1], location];
  const response2: Pair[] = [[':status', '307'], ['cache-control', 'private'], ['date', date1], location];
  const response3: Pair[] = [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    location,
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ];
  /** The examples of responses are for a table of 256 bytes. */
  const tableOf256 = '3fe101';

  test.each([
    [
      'C.2.1',
      ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'],
      [[['custom-key', 'custom-header']]],
    ],
    ['C.2.2', ['040c 2f73 616d 706c 652f 7061 7468'], [[[':path', '/sample/path']]]],
    ['C.2.3', ['1008 7061 7373 776f 7264 0673 6563 7265 74'], [[['password', 'secret']]]],
    ['C.2.4', ['82'], [[[':method', 'GET']]]],
    [
      'C.3',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      [request1, request2, request3],
    ],
    [
      'C.4',
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      [request1, request2, request3],
    ],
    [
      'C.5',
      [
        `${tableOf256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133
         3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
         2076 6572 7369 6f6e 3d31`,
      ],
      [response1, response2, response3],
    ],
    [
      'C.6',
      [
        `${tableOf256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
         29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
      [response1, response2, response3],
    ],
  ] as [string, string[], Pair[][]][])('%s', (_section, blocks, lists) => {
    const decoder = new HpackDecoder(1024);
    expect(blocks.map((block) => decode(decoder, hex(block)))).toEqual(lists);
  });
});

describe('the Huffman code', () => {
  test('gives back every string of bytes', () => {
    const target = Buffer.alloc(10_000);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        const coded = huffman(text);
        const length = decodeHuffman(coded, 0, coded.length, target);
        expect(target.subarray(0, length).toString('latin1')).toBe(text);
      }),
    );
  });

  test.each([
    ['padding of zeros', '00'],
    ['eight bits of padding', 'ff'],
    ['the end mark', 'ffff ffff'],
    ['the end mark behind a letter', '1fff ffff ff'],
  ])('refuses %s', (_what, bytes) => {
    const coded = hex(bytes);
    expect(decodeHuffman(coded, 0, coded.length, Buffer.alloc(100))).toBe(-1);
  });
});

/** An encoder that uses every representation, and knows the decoder's table. */
class Encoder {
  readonly #dice: Dice;
  #table: Pair[] = [];
  #tableBytesMax = 4096;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  block(fields: readonly Pair[]): Buffer {
    const parts: Buffer[] = [];
    if (this.#dice.roll(8) === 0) {
      this.#tableBytesMax = this.#dice.roll(4097);
      this.#evict(0);
      parts.push(this.#integer(0x20, 0x1f, this.#tableBytesMax));
    }
    for (const [name, value] of fields) parts.push(this.#field(name, value));
    return Buffer.concat(parts);
  }

  #field(name: string, value: string): Buffer {
    const all: Pair[] = [...STATIC_TABLE.slice(1).map((field): Pair => [field.name, field.value]), ...this.#table];
    const whole = all.findIndex((entry) => entry[0] === name && entry[1] === value);
    if (whole >= 0 && this.#dice.roll(4) > 0) return this.#integer(0x80, 0x7f, whole + 1);
    const named = this.#dice.roll(4) > 0 ? all.findIndex((entry) => entry[0] === name) + 1 : 0;
    const texts = named > 0 ? [value] : [name, value];
    const [first, mask] = this.#dice.pick([
      [0x40, 0x3f],
      [0x00, 0x0f],
      [0x10, 0x0f],
    ] as const);
    if (first === 0x40) {
      const bytes = name.length + value.length + 32;
      this.#evict(bytes);
      if (bytes <= this.#tableBytesMax) this.#table.unshift([name, value]);
    }
    return Buffer.concat([this.#integer(first, mask, named), ...texts.map((text) => this.#string(text))]);
  }

  #evict(forBytes: number): void {
    const size = () => this.#table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    while (this.#table.length > 0 && size() + forBytes > this.#tableBytesMax) this.#table.pop();
  }

  #string(text: string): Buffer {
    const coded = this.#dice.roll(2) === 0;
    const bytes = coded ? huffman(text) : Buffer.from(text, 'latin1');
    return Buffer.concat([this.#integer(coded ? 0x80 : 0, 0x7f, bytes.length), bytes]);
  }

  #integer(first: number, mask: number, value: number): Buffer {
    if (value < mask) return Buffer.from([first | value]);
    const bytes = [first | mask];
    let rest = value - mask;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 | (rest % 128));
    return Buffer.from([...bytes, rest]);
  }
}

describe('the decoder', () => {
  test('gives back what any encoder has put in, block after block', () => {
    for (let seed = 0; seed < 50; seed++) {
      const dice = new Dice(seed);
      const encoder = new Encoder(dice);
      const decoder = new HpackDecoder(1024 * 1024);
      const names = Array.from({ length: 12 }, (_, i) => `x-${'n'.repeat(dice.roll(20))}${i}`);
      for (let blocks = 0; blocks < 30; blocks++) {
        const fields = Array.from({ length: dice.roll(12) }, (): Pair => {
          const value = dice.roll(3) === 0 ? dice.bytes(dice.roll(300)).toString('latin1') : `v${dice.roll(5)}`;
          return [dice.pick([...names, 'content-type', ':path', 'cookie']), value];
        });
        expect(decode(decoder, encoder.block(fields))).toEqual(fields);
      }
    }
  });

  test.each([
    ['index 0', '80'],
    ['an index beyond both tables', 'be'],
    ['a name index beyond both tables', '7f00 0161'],
    ['an index without end', 'ff80 8080 8080 01'],
    ['an index that is cut off', 'ff'],
    ['a string that is cut off', '4001 6105 62'],
    ['a string of enormous length', '4001 617f ffff ffff 7f'],
    ['a length that is cut off', '4001 617f'],
    ['no value at all', '4001 61'],
    ['a table larger than was allowed', '3fe2 1f'],
    ['a change of the table behind a field', '8220'],
    ['a broken Huffman code', '0001 6181 00'],
  ])('says no to %s', (_what, block) => {
    expect(decode(new HpackDecoder(1024), hex(block))).toBeUndefined();
  });

  test('never throws, whatever the bytes', () => {
    const decoder = new HpackDecoder(1024);
    const dice = new Dice(7);
    for (let i = 0; i < 20_000; i++) decode(decoder, dice.bytes(dice.roll(40)));
  });

  test('keeps no more of a list than the bound, and still knows its table', () => {
    const decoder = new HpackDecoder(10_000);
    const bomb = Buffer.concat([
      hex('4003 626f 6d7f 811e'),
      Buffer.alloc(0x7f + 0x0f01, 'a'),
      Buffer.alloc(16_000, 0xbe),
    ]);
    const fields: Field[] = [];
    expect(decoder.decode(bomb, 0, bomb.length, fields)).toBe(true);
    expect(decoder.listBytes).toBeGreaterThan(60_000_000);
    expect(fields.length).toBeLessThan(3);
    expect(decode(decoder, hex('be'))).toEqual([['bom', 'a'.repeat(0x7f + 0x0f01)]]);
  });
});

describe('header blocks of answers', () => {
  const HEADERS: Pair[] = [
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ];
  const OK: Pair[] = [['grpc-status', '0']];

  test('mean the same whatever came before, and are short from the second answer on', () => {
    for (let seed = 0; seed < 50; seed++) {
      const dice = new Dice(seed);
      const blocks = new ResponseBlocks();
      const decoder = new HpackDecoder(1024);
      const target = Buffer.alloc(200);
      for (let i = 0; i < 20; i++) {
        if (dice.roll(10) === 0) blocks.tableSize(dice.roll(5000));
        const [kind, expected] = dice.pick([
          ['headers', HEADERS],
          ['trailers', OK],
          ['both', [...HEADERS, ...OK]],
        ] as [string, Pair[]][]);
        let end = blocks.begin(target, 0);
        if (kind !== 'trailers') end = blocks.headers(target, end);
        if (kind !== 'headers') end = blocks.trailersOk(target, end);
        expect(decode(decoder, target.subarray(0, end))).toEqual(expected);
      }
    }
    const blocks = new ResponseBlocks();
    const target = Buffer.alloc(200);
    blocks.trailersOk(target, blocks.headers(target, 0));
    expect(blocks.headers(target, 0)).toBe(2);
    expect(blocks.trailersOk(target, 0)).toBe(1);
  });

  test('without tables mean the same to a decoder that has none', () => {
    const fields: Pair[] = [
      ['grpc-status', '13'],
      ['grpc-message', 'x'.repeat(1000)],
    ];
    expect(decode(new HpackDecoder(10_000), plainBlock(fields))).toEqual(fields);
  });
});
