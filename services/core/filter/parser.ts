// From tokens to the tree of an SQL filter. The dialect is that of Apache RocketMQ with the precedence of SQL: NOT
// takes the comparison behind it, AND binds closer than OR. What can never be true for a good reason, such as a text
// compared with <, is refused here rather than left to fail silently on every message.
import { LIMITS } from '../limits.ts';
import type { Condition, EqualOrOrder, Numeric, Operand, TextTest } from './expression.ts';
import { NUMBER_LENGTH_MAX, numberOf } from './numbers.ts';
import { FilterSyntaxError, type Token, tokensOf } from './tokens.ts';

/** Throws FilterSyntaxError. */
export function parse(expression: string): Condition {
  return new Parser(tokensOf(expression)).whole();
}

const COMPARISONS = new Set(['=', '<>', '<', '<=', '>', '>=']);
const TEXT_TESTS = new Set(['CONTAINS', 'STARTSWITH', 'ENDSWITH']);

class Parser {
  private readonly tokens: readonly Token[];
  private next = 0;
  private depth = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  whole(): Condition {
    const at = this.peek().at;
    const condition = asCondition(this.either(), at);
    if (this.peek().kind !== 'end') throw this.unexpected('AND, OR, or the end');
    return condition;
  }

  private either(): Operand {
    return this.chain('or', () => this.both());
  }

  private both(): Operand {
    return this.chain('and', () => this.negated());
  }

  /** One part alone stays what it is: only `(a)` knows whether it is compared with something or is a condition. */
  private chain(kind: 'and' | 'or', part: () => Operand): Operand {
    const { at } = this.peek();
    const first = part();
    if (!this.sees('keyword', kind.toUpperCase())) return first;
    const parts = [asCondition(first, at)];
    while (this.takes('keyword', kind.toUpperCase())) {
      const partAt = this.peek().at;
      parts.push(asCondition(part(), partAt));
    }
    return { kind: 'condition', condition: { kind, parts } };
  }

  private negated(): Operand {
    if (!this.takes('keyword', 'NOT')) return this.comparison();
    const { at } = this.peek();
    const part = asCondition(
      this.nested(() => this.negated()),
      at,
    );
    return { kind: 'condition', condition: { kind: 'not', part } };
  }

  private comparison(): Operand {
    const { at } = this.peek();
    const left = this.operand();
    const condition = this.restOfComparison(left, at);
    if (condition === undefined) return left;
    if (this.startsComparison()) {
      throw new FilterSyntaxError(this.peek().at, 'Compare two values at a time, and join comparisons with AND.');
    }
    return { kind: 'condition', condition };
  }

  private startsComparison(): boolean {
    const { kind, value } = this.peek();
    if (kind === 'sign') return COMPARISONS.has(value);
    return kind === 'keyword' && (['IS', 'IN', 'BETWEEN', 'NOT'].includes(value) || TEXT_TESTS.has(value));
  }

  /** What stands behind the left side, or undefined if it stands alone. */
  private restOfComparison(left: Operand, at: number): Condition | undefined {
    const token = this.peek();
    if (token.kind === 'name' && token.value.toUpperCase() === 'LIKE') {
      throw new FilterSyntaxError(token.at, 'There is no LIKE. Use CONTAINS, STARTSWITH or ENDSWITH with a text.');
    }
    if (token.kind === 'sign' && COMPARISONS.has(token.value)) {
      this.next++;
      const rightAt = this.peek().at;
      return compared(token, left, at, this.operand(), rightAt);
    }
    if (this.takes('keyword', 'IS')) {
      const not = this.takes('keyword', 'NOT');
      if (!this.takes('keyword', 'NULL')) throw this.unexpected('NULL');
      return negatedIf(not, { kind: 'isNull', of: left });
    }
    if (token.kind !== 'keyword') return undefined;
    const not = this.takes('keyword', 'NOT');
    const word = this.peek();
    if (this.takes('keyword', 'BETWEEN')) return negatedIf(not, this.between(left, at));
    if (this.takes('keyword', 'IN')) return negatedIf(not, this.list(left, at));
    if (word.kind === 'keyword' && TEXT_TESTS.has(word.value)) {
      this.next++;
      return negatedIf(not, this.textTest(word.value as TextTest, left, at));
    }
    if (not) throw this.unexpected('BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH');
    return undefined;
  }

  private between(value: Operand, at: number): Condition {
    const lowAt = this.peek().at;
    const low = this.operand();
    if (!this.takes('keyword', 'AND')) throw this.unexpected('AND and the upper bound');
    const highAt = this.peek().at;
    const high = this.operand();
    checkOrdered(value, at);
    checkOrdered(low, lowAt);
    checkOrdered(high, highAt);
    if (low.kind === 'number' && high.kind === 'number' && low.value > high.value) {
      throw new FilterSyntaxError(lowAt, 'The lower bound of BETWEEN is above the upper one. Turn them round.');
    }
    return {
      kind: 'and',
      parts: [
        { kind: 'compare', operator: '>=', left: value, right: low },
        { kind: 'compare', operator: '<=', left: value, right: high },
      ],
    };
  }

  private list(of: Operand, at: number): Condition {
    const name = nameOf(of, at, 'IN');
    if (!this.takes('sign', '(')) throw this.unexpected('( and a list of texts');
    const texts = new Set<string>();
    do texts.add(this.text('IN'));
    while (this.takes('sign', ','));
    if (!this.takes('sign', ')')) throw this.unexpected(', or )');
    return { kind: 'in', name, texts: [...texts] };
  }

  private textTest(test: TextTest, of: Operand, at: number): Condition {
    const name = nameOf(of, at, test);
    const textAt = this.peek().at;
    const text = this.text(test);
    if (text === '')
      throw new FilterSyntaxError(textAt, `Behind ${test} stands an empty text. Name at least a letter.`);
    return { kind: 'test', test, name, text };
  }

  private text(behind: string): string {
    const token = this.peek();
    if (token.kind !== 'text') {
      throw new FilterSyntaxError(token.at, `${behind} takes texts in single quotes, and ${shown(token)} is none.`);
    }
    this.next++;
    return token.value;
  }

  private operand(): Operand {
    const token = this.peek();
    if (token.kind === 'sign' && (token.value === '-' || token.value === '+')) return this.signed();
    this.next++;
    switch (token.kind) {
      case 'name':
        return { kind: 'property', name: token.value };
      case 'text':
        return { kind: 'text', value: token.value };
      case 'number':
        return { kind: 'number', value: numeric(token, '') };
      case 'keyword':
        if (token.value === 'TRUE') return { kind: 'condition', condition: { kind: 'constant', value: true } };
        if (token.value === 'FALSE') return { kind: 'condition', condition: { kind: 'constant', value: false } };
        if (token.value === 'NULL') return { kind: 'condition', condition: { kind: 'constant', value: undefined } };
        break;
      case 'sign':
        if (token.value === '(') return this.parenthesis();
        break;
      case 'end':
        break;
    }
    this.next--;
    throw this.unexpected('a property, a text, a number or (');
  }

  private signed(): Operand {
    let sign = '';
    for (;;) {
      if (this.takes('sign', '-')) sign = sign === '-' ? '' : '-';
      else if (!this.takes('sign', '+')) break;
    }
    const token = this.peek();
    if (token.kind !== 'number') {
      throw new FilterSyntaxError(token.at, 'Only a number has a sign. There is no arithmetic on properties.');
    }
    this.next++;
    return { kind: 'number', value: numeric(token, sign) };
  }

  private parenthesis(): Operand {
    const inner = this.nested(() => this.either());
    if (!this.takes('sign', ')')) throw this.unexpected(')');
    return inner;
  }

  private nested(read: () => Operand): Operand {
    if (++this.depth > LIMITS.filterDepth) {
      throw new FilterSyntaxError(this.peek().at, `Parentheses and NOTs nest deeper than ${LIMITS.filterDepth}.`);
    }
    const operand = read();
    this.depth--;
    return operand;
  }

  private peek(): Token {
    return this.tokens[this.next]!;
  }

  private sees(kind: Token['kind'], value: string): boolean {
    const token = this.peek();
    return token.kind === kind && token.value === value;
  }

  private takes(kind: Token['kind'], value: string): boolean {
    if (!this.sees(kind, value)) return false;
    this.next++;
    return true;
  }

  private unexpected(wanted: string): FilterSyntaxError {
    const token = this.peek();
    return new FilterSyntaxError(token.at, `Here ${wanted} is expected, not ${shown(token)}.`);
  }
}

function shown({ kind, value }: Token): string {
  if (kind === 'end') return 'the end of the expression';
  return kind === 'text' ? `'${value}'` : value;
}

function numeric({ value, at }: Token, sign: string): Numeric {
  const found = numberOf(`${sign}${value}`);
  if (found === undefined) {
    throw new FilterSyntaxError(at, `A number is too large, or has more than ${NUMBER_LENGTH_MAX} characters.`);
  }
  return found;
}

function negatedIf(not: boolean, part: Condition): Condition {
  return not ? { kind: 'not', part } : part;
}

function asCondition(operand: Operand, at: number): Condition {
  if (operand.kind === 'condition') return operand.condition;
  if (operand.kind === 'property') return { kind: 'flag', name: operand.name };
  throw new FilterSyntaxError(at, 'A text or a number alone is no condition. Compare it with something.');
}

function nameOf(operand: Operand, at: number, keyword: string): string {
  if (operand.kind === 'property') return operand.name;
  throw new FilterSyntaxError(at, `Before ${keyword} stands the name of a property.`);
}

function compared(operator: Token, left: Operand, leftAt: number, right: Operand, rightAt: number): Condition {
  if (operator.value === '=' || operator.value === '<>') {
    checkEqual(left, leftAt, right);
    checkEqual(right, rightAt, left);
    const equal: Condition = { kind: 'compare', operator: '=', left, right };
    return negatedIf(operator.value === '<>', equal);
  }
  checkOrdered(left, leftAt);
  checkOrdered(right, rightAt);
  return { kind: 'compare', operator: operator.value as EqualOrOrder, left, right };
}

function checkEqual(operand: Operand, at: number, other: Operand): void {
  if (operand.kind !== 'condition') return;
  const { condition } = operand;
  if (condition.kind === 'constant' && condition.value === undefined) {
    throw new FilterSyntaxError(at, 'Nothing is equal to NULL. Write IS NULL or IS NOT NULL.');
  }
  if (other.kind === 'text' || other.kind === 'number') {
    throw new FilterSyntaxError(at, 'A condition, TRUE or FALSE is compared with a text or a number.');
  }
}

function checkOrdered(operand: Operand, at: number): void {
  if (operand.kind === 'property' || operand.kind === 'number') return;
  throw new FilterSyntaxError(at, 'Only numbers have an order: here a number or a property is expected.');
}
