// SQL filters as users meet them: what each form of the dialect means, and what the errors say.
import { describe, expect, test } from '@jest/globals';
import { LIMITS } from '../limits.ts';
import { canonicalSql, sqlFilterOf } from './sql-filter.ts';
import { messageWith } from './testing.ts';

function passes(expression: string, properties: Record<string, string>, tag = '', keys: string[] = []): boolean {
  const { value, fault } = sqlFilterOf(expression);
  if (fault !== undefined) throw new Error(fault.message);
  return value.passes(messageWith(properties, tag, keys));
}

function refusal(expression: string): string {
  const { fault } = sqlFilterOf(expression);
  expect(fault?.error).toBe('ILLEGAL_FILTER_EXPRESSION');
  return fault!.message;
}

describe('an SQL filter', () => {
  const message = { price: '12.5', count: '0007', city: "Sant'Ana", paid: 'TRUE', big: '9007199254740993', empty: '' };

  test.each([
    ['price > 12 AND price < 13', true],
    ['price = 12.50', true],
    ['price = 1.25e1', true],
    ['count = 7', true],
    ['count = 7L', true],
    ['-count = 7', undefined],
    ['count > -1', true],
    ['count > - - 6', true],
    ["count = '7'", false],
    ["count = '0007'", true],
    ["city = 'Sant''Ana'", true],
    ["city <> 'Porto'", true],
    ["city = 'sant''ana'", false],
    ['paid', true],
    ['paid = true', true],
    ['paid <> FALSE', true],
    ['NOT paid', false],
    ['city', false],
    ['NOT city', false],
    ['big = 9007199254740993', true],
    ['big = 9007199254740992', false],
    ['big > 9007199254740992', true],
    ['big > 9007199254740992.0', true],
    ['price BETWEEN 12.5 AND 13', true],
    ['price NOT BETWEEN 12.5 AND 13', false],
    ['price between 0 and count or count in (\'1\', "x")', undefined],
    ["city IN ('Porto', 'Sant''Ana')", true],
    ["city NOT IN ('Porto')", true],
    ["city CONTAINS 't''A'", true],
    ["city NOT CONTAINS 'x'", true],
    ["city STARTSWITH 'Sant'", true],
    ["city ENDSWITH 'ana'", false],
    ["empty = ''", true],
    ['empty IS NULL', false],
    ['price /* in euro */ > 3 -- always', true],
    ['count < price', true],
    ['city < price', false],
    ['NOT city < price', false],
    ['NOT price = 3 AND count = 7', true],
    ['1 = 1', true],
    ['price = 3 OR count = 7 AND paid', true],
    ['(price = 3 OR count = 7) AND NOT paid', false],
    ['(price > 3) = paid', true],
  ])('%s', (expression, expected) => {
    if (expected === undefined) expect(sqlFilterOf(expression).fault).toBeDefined();
    else expect(passes(expression, message)).toBe(expected);
  });

  test.each([
    ['a = 5', false],
    ['a <> 5', false],
    ['5 <> a', false],
    ['NOT a = 5', false],
    ["a IN ('x')", false],
    ["a NOT IN ('x')", false],
    ["a NOT CONTAINS 'x'", false],
    ['a = b', false],
    ['a IS NULL', true],
    ['a IS NOT NULL', false],
    ['a = 5 OR there = 1', true],
    ['a = 5 AND there = 1', false],
    ['NOT (a = 5 AND there = 2)', true],
    ['(a = 5) IS NULL', true],
    ['there > 0 OR NULL', true],
  ])('makes unknown of a property that is not there, and unknown does not pass: %s', (expression, expected) => {
    expect(passes(expression, { there: '1' })).toBe(expected);
  });

  test.each([
    ['a > 5 OR b = 1', true],
    ['a = 5', false],
    ['a <> 5', false],
    ['NOT a > 5', false],
  ])('makes unknown of a text that should be a number, and goes on: %s', (expression, expected) => {
    expect(passes(expression, { a: 'five', b: '1' })).toBe(expected);
  });

  test('sees the tag of a message as TAGS and its keys as KEYS', () => {
    expect(passes("TAGS = 'paid' AND KEYS CONTAINS 'order-2'", {}, 'paid', ['order-1', 'order-2'])).toBe(true);
    expect(passes("TAGS IN ('paid', 'sent')", {}, 'open')).toBe(false);
    expect(passes('TAGS IS NULL AND KEYS IS NULL', {})).toBe(true);
    expect(passes("KEYS = 'a b'", {}, '', ['a', 'b'])).toBe(true);
  });

  test('does not take a property for the tag or the keys', () => {
    expect(passes('TAGS IS NULL', { TAGS: 'x' })).toBe(true);
  });
});

describe('a wrong SQL filter is refused with a sentence that names the place', () => {
  test.each([
    ['', 'its end', 'a property, a text, a number or ('],
    ['a >', 'its end', 'a property, a text, a number or ('],
    ["a LIKE 'x%'", 'character 3', 'There is no LIKE'],
    ['a > 5 b', 'character 7, "b"', 'AND, OR, or the end'],
    ["a = 'open", 'character 5', 'no closing quote'],
    ["a > 'x'", 'character 5', 'Only numbers have an order'],
    ['a > TRUE', 'character 5', 'Only numbers have an order'],
    ['a = NULL', 'character 5', 'Write IS NULL'],
    ['a BETWEEN 5 AND 3', 'character 11', 'Turn them round'],
    ['a IN (1, 2)', 'character 7', 'texts in single quotes'],
    ['5 IN (1)', 'character 1', 'the name of a property'],
    ["a CONTAINS ''", 'character 12', 'an empty text'],
    ['a + 1 > 2', 'character 3', 'AND, OR, or the end'],
    ['a != 1', 'character 3', 'Write <>'],
    ["a = 1 = 'x'", 'character 7', 'two values at a time'],
    ['5', 'character 1', 'no condition'],
    ['a = 5 AND 6', 'character 11', 'no condition'],
    ['(a = 5', 'its end', ')'],
    ['a = 5x', 'character 5', 'ends in a letter'],
    ['größe > 5', 'character 3', 'letters of English'],
    ["(a = 5) = 'x'", 'character 1', 'compared with a text or a number'],
    [`a = ${'9'.repeat(65)}`, 'character 5', 'more than 64 characters'],
  ])('%s', (expression, place, sentence) => {
    const message = refusal(expression);
    expect(message).toContain(place);
    expect(message).toContain(sentence);
  });

  test('also when it is too long, too deep or too costly', () => {
    expect(refusal(`a = '${'x'.repeat(LIMITS.filterExpressionBytes)}'`)).toContain('too long');
    const deep = (levels: number): string => `${'('.repeat(levels)}a = 1${')'.repeat(levels)}`;
    expect(sqlFilterOf(deep(LIMITS.filterDepth)).fault).toBeUndefined();
    expect(refusal(deep(LIMITS.filterDepth + 1))).toContain('nest deeper');
    const long = (parts: number): string => Array.from({ length: parts }, (_, i) => `a=${i}`).join(' OR ');
    expect(sqlFilterOf(long(LIMITS.filterCost)).value?.cost).toBe(LIMITS.filterCost);
    expect(refusal(long(LIMITS.filterCost + 1))).toContain('257 comparisons');
  });
});

test('expressions that differ in spaces, comments and case of keywords only have the same canonical form', () => {
  expect(canonicalSql(" a>5  and /* c */ b='it''s' ")).toBe("a > 5 AND b = 'it''s'");
  expect(canonicalSql("a > 5 AND b = 'it''s'")).toBe("a > 5 AND b = 'it''s'");
});
