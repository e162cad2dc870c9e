// Turns the tree of an SQL filter into nested functions over the stored bytes of a message. Truths are the numbers 0
// (false), 1 (unknown) and 2 (true): AND is then the smaller, OR the larger, and NOT what is missing to 2.
import type { Condition, EqualOrOrder, Numeric, Operand, TextTest } from './expression.ts';
import { numberIn, numberOf } from './numbers.ts';
import { type Filterable, Properties, sameBytes } from './properties.ts';

type Truth = 0 | 1 | 2;
type Judge = () => Truth;

const FALSE = 0;
const UNKNOWN = 1;
const TRUE = 2;

const truthOf = (value: boolean): Truth => (value ? TRUE : FALSE);

/** Says whether the condition is true for a message; unknown is not true. Throws ProtobufError for broken bytes. */
export function compile(condition: Condition): (message: Filterable) => boolean {
  const names: string[] = [];
  collectNames(condition, names);
  const properties = new Properties(names);
  const judge = new Compiler(properties, names).condition(condition);
  return (message) => {
    properties.read(message);
    return judge() === TRUE;
  };
}

function collectNames(condition: Condition, names: string[]): void {
  const add = (name: string): void => {
    if (!names.includes(name)) names.push(name);
  };
  const addOperand = (operand: Operand): void => {
    if (operand.kind === 'property') add(operand.name);
    else if (operand.kind === 'condition') collectNames(operand.condition, names);
  };
  switch (condition.kind) {
    case 'and':
    case 'or':
      for (const part of condition.parts) collectNames(part, names);
      break;
    case 'not':
      collectNames(condition.part, names);
      break;
    case 'constant':
      break;
    case 'isNull':
      addOperand(condition.of);
      break;
    case 'compare':
      addOperand(condition.left);
      addOperand(condition.right);
      break;
    case 'flag':
    case 'in':
    case 'test':
      add(condition.name);
      break;
  }
}

class Compiler {
  private readonly properties: Properties;
  private readonly names: readonly string[];

  constructor(properties: Properties, names: readonly string[]) {
    this.properties = properties;
    this.names = names;
  }

  condition(condition: Condition): Judge {
    switch (condition.kind) {
      case 'and':
        return all(condition.parts.map((part) => this.condition(part)));
      case 'or':
        return any(condition.parts.map((part) => this.condition(part)));
      case 'not': {
        const part = this.condition(condition.part);
        return () => (TRUE - part()) as Truth;
      }
      case 'constant': {
        const truth = condition.value === undefined ? UNKNOWN : truthOf(condition.value);
        return () => truth;
      }
      case 'flag':
        return this.flag(condition.name);
      case 'isNull':
        return this.isNull(condition.of);
      case 'compare':
        return condition.operator === '='
          ? this.equal(condition.left, condition.right)
          : this.numbers(condition.operator, condition.left, condition.right);
      case 'in':
        return this.listed(condition.name, condition.texts);
      case 'test':
        return this.test(condition.test, condition.name, condition.text);
    }
  }

  private slot(name: string): number {
    return this.names.indexOf(name);
  }

  /** "true" and "false" in any case of letters; every other text says neither. */
  private flag(name: string): Judge {
    const { properties } = this;
    const slot = this.slot(name);
    return () => {
      if (!properties.has(slot)) return UNKNOWN;
      const length = properties.end(slot) - properties.begin(slot);
      if (length !== 4 && length !== 5) return UNKNOWN;
      const text = properties.bytes(slot).toString('latin1', properties.begin(slot), properties.end(slot));
      const word = text.toLowerCase();
      return word === 'true' ? TRUE : word === 'false' ? FALSE : UNKNOWN;
    };
  }

  private isNull(of: Operand): Judge {
    if (of.kind === 'condition') {
      const judge = this.condition(of.condition);
      return () => truthOf(judge() === UNKNOWN);
    }
    if (of.kind !== 'property') return () => FALSE;
    const { properties } = this;
    const slot = this.slot(of.name);
    return () => truthOf(!properties.has(slot));
  }

  private equal(left: Operand, right: Operand): Judge {
    if (left.kind === 'condition' || right.kind === 'condition') return this.sameTruth(left, right);
    if (left.kind === 'number') return this.numbers('=', right, left);
    if (right.kind === 'number') return this.numbers('=', left, right);
    if (left.kind === 'text') return this.equalsText(right, left.value);
    if (right.kind === 'text') return this.equalsText(left, right.value);
    const { properties } = this;
    const one = this.slot(left.name);
    const other = this.slot(right.name);
    return () => {
      if (!properties.has(one) || !properties.has(other)) return UNKNOWN;
      const order = properties
        .bytes(one)
        .compare(
          properties.bytes(other),
          properties.begin(other),
          properties.end(other),
          properties.begin(one),
          properties.end(one),
        );
      return truthOf(order === 0);
    };
  }

  private equalsText(operand: Operand, text: string): Judge {
    if (operand.kind === 'text') {
      const truth = truthOf(operand.value === text);
      return () => truth;
    }
    if (operand.kind !== 'property') return () => UNKNOWN;
    const { properties } = this;
    const slot = this.slot(operand.name);
    const expected = Buffer.from(text);
    return () => {
      if (!properties.has(slot)) return UNKNOWN;
      const from = properties.begin(slot);
      if (properties.end(slot) - from !== expected.length) return FALSE;
      return truthOf(sameBytes(expected, properties.bytes(slot), from));
    };
  }

  private sameTruth(left: Operand, right: Operand): Judge {
    const one = this.truth(left);
    const other = this.truth(right);
    return () => {
      const first = one();
      if (first === UNKNOWN) return UNKNOWN;
      const second = other();
      return second === UNKNOWN ? UNKNOWN : truthOf(first === second);
    };
  }

  private truth(operand: Operand): Judge {
    if (operand.kind === 'condition') return this.condition(operand.condition);
    return operand.kind === 'property' ? this.flag(operand.name) : () => UNKNOWN;
  }

  /** What is no number, be it a property or a text, compares as unknown. */
  private numbers(operator: EqualOrOrder, left: Operand, right: Operand): Judge {
    const one = this.number(left);
    const other = this.number(right);
    const holds = COMPARE[operator];
    return () => {
      const first = one();
      if (first === undefined) return UNKNOWN;
      const second = other();
      return second === undefined ? UNKNOWN : truthOf(holds(first, second));
    };
  }

  private number(operand: Operand): () => Numeric | undefined {
    switch (operand.kind) {
      case 'number':
        return () => operand.value;
      case 'text': {
        const value = numberOf(operand.value);
        return () => value;
      }
      case 'condition':
        return () => undefined;
      case 'property': {
        const { properties } = this;
        const slot = this.slot(operand.name);
        return () =>
          properties.has(slot)
            ? numberIn(properties.bytes(slot), properties.begin(slot), properties.end(slot))
            : undefined;
      }
    }
  }

  private listed(name: string, texts: readonly string[]): Judge {
    const { properties } = this;
    const slot = this.slot(name);
    const expected = texts.map((text) => Buffer.from(text));
    return () => {
      if (!properties.has(slot)) return UNKNOWN;
      const from = properties.begin(slot);
      const length = properties.end(slot) - from;
      const bytes = properties.bytes(slot);
      return truthOf(expected.some((text) => text.length === length && sameBytes(text, bytes, from)));
    };
  }

  private test(test: TextTest, name: string, text: string): Judge {
    const { properties } = this;
    const slot = this.slot(name);
    const expected = Buffer.from(text);
    return () => {
      if (!properties.has(slot)) return UNKNOWN;
      const from = properties.begin(slot);
      const end = properties.end(slot);
      const bytes = properties.bytes(slot);
      if (end - from < expected.length) return FALSE;
      if (test === 'STARTSWITH') return truthOf(sameBytes(expected, bytes, from));
      if (test === 'ENDSWITH') return truthOf(sameBytes(expected, bytes, end - expected.length));
      return truthOf(bytes.subarray(from, end).includes(expected));
    };
  }
}

const COMPARE: Readonly<Record<EqualOrOrder, (left: Numeric, right: Numeric) => boolean>> = {
  // Of a number and a bigint, neither === nor Object.is says whether they are the same number.
  '=': (left, right) => !(left < right) && !(left > right),
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
};

function all(parts: readonly Judge[]): Judge {
  return () => {
    let least: Truth = TRUE;
    for (const part of parts) {
      const truth = part();
      if (truth === FALSE) return FALSE;
      if (truth < least) least = truth;
    }
    return least;
  };
}

function any(parts: readonly Judge[]): Judge {
  return () => {
    let most: Truth = FALSE;
    for (const part of parts) {
      const truth = part();
      if (truth === TRUE) return TRUE;
      if (truth > most) most = truth;
    }
    return most;
  };
}
