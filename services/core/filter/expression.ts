// An SQL filter as a tree: what the parser makes and what the compiler takes. `<>`, NOT IN, BETWEEN and the like are
// already put in terms of the few forms here. Conditions have three values: true, false and unknown.

/** A whole number that a double cannot hold exactly is a bigint; JavaScript compares the two exactly. */
export type Numeric = number | bigint;

export type Operand =
  | { readonly kind: 'property'; readonly name: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly value: Numeric }
  /** TRUE, FALSE, NULL, or a whole condition. */
  | { readonly kind: 'condition'; readonly condition: Condition };

export type EqualOrOrder = '=' | '<' | '<=' | '>' | '>=';
export type TextTest = 'CONTAINS' | 'STARTSWITH' | 'ENDSWITH';

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  /** `undefined` is the unknown truth, written NULL. */
  | { readonly kind: 'constant'; readonly value: boolean | undefined }
  /** A property that is itself the text "true" or "false". */
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'isNull'; readonly of: Operand }
  | { readonly kind: 'compare'; readonly operator: EqualOrOrder; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'in'; readonly name: string; readonly texts: readonly string[] }
  | { readonly kind: 'test'; readonly test: TextTest; readonly name: string; readonly text: string };

const TEXT_TEST_COST = 4;

/** What judging one message costs at most, in units of about one comparison. */
export function costOf(condition: Condition): number {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.parts.reduce((sum, part) => sum + costOf(part), 0);
    case 'not':
      return costOf(condition.part);
    case 'constant':
    case 'flag':
      return 1;
    case 'isNull':
      return costOfOperand(condition.of);
    case 'compare':
      return Math.max(1, costOfOperand(condition.left) + costOfOperand(condition.right) - 1);
    case 'in':
      return condition.texts.length;
    case 'test':
      return TEXT_TEST_COST;
  }
}

function costOfOperand(operand: Operand): number {
  return operand.kind === 'condition' ? costOf(operand.condition) : 1;
}
