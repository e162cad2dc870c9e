// SQL filters against a second, slow evaluator that knows nothing of the compiled one: random expressions on random
// messages give the same answer, and no text whatever, right, broken or hostile, makes the parser do anything but
// answer with a filter or a sentence.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtobufError } from '../protobuf.ts';
import { sqlFilterOf } from './sql-filter.ts';
import { messageWith } from './testing.ts';

/** null is unknown. */
type Truth = boolean | null;
type Values = ReadonlyMap<string, string>;

interface Generated {
  readonly text: string;
  readonly judge: (values: Values) => Truth;
}

/** A decimal number as a fraction of whole numbers over 10^20, which holds every number that is generated here. */
function exact(text: string | undefined): bigint | null {
  const parts = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/.exec(text ?? '');
  if (parts === null || `${parts[2]}${parts[3] ?? ''}` === '') return null;
  const digits = BigInt(`${parts[2]}${parts[3] ?? ''}`);
  const scale = 20 - (parts[3]?.length ?? 0) + Number(parts[4] ?? 0);
  return (parts[1] === '-' ? -1n : 1n) * digits * 10n ** BigInt(scale);
}

const not = (truth: Truth): Truth => (truth === null ? null : !truth);
const and = (a: Truth, b: Truth): Truth =>
  a === false || b === false ? false : a === null || b === null ? null : true;
const or = (a: Truth, b: Truth): Truth => not(and(not(a), not(b)));
const flag = (text: string | undefined): Truth => {
  if (text?.toLowerCase() === 'true') return true;
  return text?.toLowerCase() === 'false' ? false : null;
};

function order(operator: string, a: bigint | null, b: bigint | null): Truth {
  if (a === null || b === null) return null;
  switch (operator) {
    case '=':
      return a === b;
    case '<>':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    default:
      return a >= b;
  }
}

const NAMES = ['a', 'b', '_long$name9', 'TAGS', 'KEYS'];
const NUMBERS = [
  '0',
  '7',
  '-7',
  '7.0',
  '0.5',
  '.5',
  '5e-1',
  '1E3',
  '1000',
  '9007199254740993',
  '9007199254740992',
  '-0',
];
const TEXTS = ['', 'x', 'xyz', 'TRUE', 'false', "it's", 'Größe', '7x', '+7', ' 7', '--', '7'];

const name = fc.constantFrom(...NAMES);
const number = fc.constantFrom(...NUMBERS);
const text = fc.constantFrom(...TEXTS);
const operator = fc.constantFrom('=', '<>', '<', '<=', '>', '>=');
const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const values: fc.Arbitrary<Values> = fc
  .array(fc.tuple(name, fc.oneof(number, text)), { maxLength: 6 })
  .map((entries) => new Map(entries.filter(([key, value]) => value !== '' || (key !== 'TAGS' && key !== 'KEYS'))));
const space = fc.constantFrom(' ', '  ', '\n', '\t', ' /* AND x */ ', ' -- OR\n');

const isNot = fc.constantFrom('', 'NOT ');
const maybeNot = (negates: string, truth: Truth): Truth => (negates === '' ? truth : not(truth));

const leaf: fc.Arbitrary<Generated> = fc.oneof(
  fc.tuple(name, operator, number).map(([of, by, than]) => ({
    text: `${of} ${by} ${than}`,
    judge: (on: Values) => order(by, exact(on.get(of)), exact(than)),
  })),
  fc.tuple(number, operator, name).map(([than, by, of]) => ({
    text: `${than} ${by} ${of}`,
    judge: (on: Values) => order(by, exact(than), exact(on.get(of))),
  })),
  fc.tuple(name, fc.constantFrom('<', '<=', '>', '>='), name).map(([one, by, other]) => ({
    text: `${one}${by}${other}`,
    judge: (on: Values) => order(by, exact(on.get(one)), exact(on.get(other))),
  })),
  fc.tuple(name, fc.boolean(), name).map(([one, equal, other]) => ({
    text: `${one} ${equal ? '=' : '<>'} ${other}`,
    judge: (on: Values) => {
      const [left, right] = [on.get(one), on.get(other)];
      return left === undefined || right === undefined ? null : (left === right) === equal;
    },
  })),
  fc.tuple(name, fc.boolean(), text, fc.boolean()).map(([of, equal, than, turned]) => ({
    text: turned ? `${quoted(than)} ${equal ? '=' : '<>'} ${of}` : `${of} ${equal ? '=' : '<>'} ${quoted(than)}`,
    judge: (on: Values) => (on.has(of) ? (on.get(of) === than) === equal : null),
  })),
  fc.tuple(name, isNot).map(([of, negates]) => ({
    text: `${of} IS ${negates}NULL`,
    judge: (on: Values) => maybeNot(negates, !on.has(of)),
  })),
  fc.tuple(name, isNot, fc.array(text, { minLength: 1, maxLength: 4 })).map(([of, negates, list]) => ({
    text: `${of} ${negates}IN (${list.map(quoted).join(', ')})`,
    judge: (on: Values) => (on.has(of) ? maybeNot(negates, list.includes(on.get(of)!)) : null),
  })),
  fc.tuple(name, isNot, number, number).map(([of, negates, one, other]) => {
    const [low, high] = exact(one)! <= exact(other)! ? [one, other] : [other, one];
    const judge = (on: Values): Truth => {
      const at = exact(on.get(of));
      return at === null ? null : maybeNot(negates, at >= exact(low)! && at <= exact(high)!);
    };
    return { text: `${of} ${negates}between ${low} and ${high}`, judge };
  }),
  fc
    .tuple(
      name,
      isNot,
      fc.constantFrom('CONTAINS', 'StartsWith', 'endswith'),
      text.filter((of) => of !== ''),
    )
    .map(([of, negates, how, part]) => ({
      text: `${of} ${negates}${how} ${quoted(part)}`,
      judge: (on: Values): Truth => {
        const value = on.get(of);
        if (value === undefined) return null;
        if (how === 'CONTAINS') return maybeNot(negates, value.includes(part));
        return maybeNot(negates, how === 'endswith' ? value.endsWith(part) : value.startsWith(part));
      },
    })),
  name.map((of) => ({ text: of, judge: (on: Values) => flag(on.get(of)) })),
  fc.constantFrom<Generated>(
    { text: 'TRUE', judge: () => true },
    { text: 'false', judge: () => false },
    { text: 'Null', judge: () => null },
  ),
);

const condition: fc.Arbitrary<Generated> = fc.letrec<{ whole: Generated }>((tie) => ({
  whole: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.tuple(tie('whole'), space).map(([part, gap]) => ({
      text: `not${gap}(${part.text})`,
      judge: (on: Values) => not(part.judge(on)),
    })),
    fc.tuple(leaf).map(([part]) => ({ text: `NOT ${part.text}`, judge: (on: Values) => not(part.judge(on)) })),
    fc.tuple(tie('whole'), space, tie('whole')).map(([a, gap, b]) => ({
      text: `(${a.text})${gap}and${gap}(${b.text})`,
      judge: (on: Values) => and(a.judge(on), b.judge(on)),
    })),
    fc.tuple(tie('whole'), space, tie('whole')).map(([a, gap, b]) => ({
      text: `(${a.text})${gap}OR${gap}(${b.text})`,
      judge: (on: Values) => or(a.judge(on), b.judge(on)),
    })),
    // Without parentheses: AND first, then OR.
    fc.tuple(leaf, leaf, leaf).map(([a, b, c]) => ({
      text: `${a.text} OR ${b.text} AND ${c.text}`,
      judge: (on: Values) => or(a.judge(on), and(b.judge(on), c.judge(on))),
    })),
    fc.tuple(tie('whole'), fc.boolean()).map(([part, isTrue]) => ({
      // NULL alone may not be compared; with OR it is a condition like any other.
      text: `(${part.text} OR FALSE) = ${isTrue}`,
      judge: (on: Values) => {
        const truth = part.judge(on);
        return truth === null ? null : truth === isTrue;
      },
    })),
    fc.tuple(tie('whole'), isNot).map(([part, negates]) => ({
      // A property in parentheses is still a property.
      text: `(${part.text} OR FALSE) IS ${negates}NULL`,
      judge: (on: Values) => maybeNot(negates, part.judge(on) === null),
    })),
  ),
})).whole;

function messageOf(on: Values): ReturnType<typeof messageWith> {
  const properties = Object.fromEntries([...on].filter(([key]) => key !== 'TAGS' && key !== 'KEYS'));
  const keys = on.get('KEYS');
  return messageWith(properties, on.get('TAGS') ?? '', keys === undefined ? [] : [keys]);
}

describe('an SQL filter', () => {
  test('judges every message as a second evaluator does that is slow and obvious', () => {
    let passed = 0;
    fc.assert(
      fc.property(condition, fc.array(values, { minLength: 1, maxLength: 8 }), (of, messages) => {
        const { value, fault } = sqlFilterOf(of.text);
        if (fault !== undefined) {
          expect(fault.message).toMatch(/too long|costs/);
          return;
        }
        for (const on of messages) {
          const expected = of.judge(on) === true;
          expect(value.passes(messageOf(on))).toBe(expected);
          if (expected) passed++;
        }
      }),
      { numRuns: 3_000 },
    );
    expect(passed).toBeGreaterThan(1_000);
  });

  test('is never anything but a filter or a sentence, whatever the text', () => {
    const pieces = fc.constantFrom(
      ...[
        'AND',
        'OR',
        'NOT',
        '(',
        ')',
        'a',
        "'x'",
        "'",
        '5',
        '-',
        '--',
        '/*',
        '*/',
        'IN',
        'IS',
        'NULL',
        'BETWEEN',
        '=',
        ',',
      ],
    );
    const edited = fc
      .tuple(condition, fc.nat(), fc.nat(3), fc.oneof(pieces, fc.string({ maxLength: 3, unit: 'binary' })))
      .map(([{ text: of }, at, remove, insert]) => {
        const from = at % (of.length + 1);
        return of.slice(0, from) + insert + of.slice(from + remove);
      });
    const soup = fc.array(pieces, { maxLength: 30 }).map((words) => words.join(' '));
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(edited, soup, fc.string({ unit: 'binary' })), values, (expression, on) => {
        const { value, fault } = sqlFilterOf(expression);
        if (fault !== undefined) {
          expect(fault.error).toBe('ILLEGAL_FILTER_EXPRESSION');
          expect(fault.message).toMatch(/^The filter expression (is wrong at|is too long|costs)/);
          return;
        }
        accepted++;
        expect(typeof value.passes(messageOf(on))).toBe('boolean');
      }),
      { numRuns: 5_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  test('meets bytes that are no properties with the error of such bytes, and with no other', () => {
    const filter = sqlFilterOf("a = 5 OR TAGS = 'x' OR KEYS CONTAINS 'y'").value!;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (userPart, systemPart) => {
        try {
          filter.passes({ userPart, systemPart });
        } catch (error) {
          expect(error).toBeInstanceOf(ProtobufError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
