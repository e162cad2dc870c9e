// SQL filters on the properties of messages: from the text of a subscription to a function that judges stored messages.
// Length, nesting and cost are bounded, and an error names the place in the expression.
import { failure, type Outcome, success } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { compile } from './compile.ts';
import { costOf } from './expression.ts';
import { parse } from './parser.ts';
import type { Filterable } from './properties.ts';
import { FilterSyntaxError, tokensOf } from './tokens.ts';

export interface SqlFilter {
  /** What judging one message costs at most, in units of about one comparison. */
  readonly cost: number;
  /** Not to be called from within itself: it keeps the places of one message at a time. */
  readonly passes: (message: Filterable) => boolean;
}

export function sqlFilterOf(expression: string): Outcome<SqlFilter> {
  if (Buffer.byteLength(expression) > LIMITS.filterExpressionBytes) {
    return refused(`The filter expression is too long. Use at most ${LIMITS.filterExpressionBytes} bytes.`);
  }
  try {
    const condition = parse(expression);
    const cost = costOf(condition);
    if (cost > LIMITS.filterCost) {
      return refused(
        `The filter expression costs ${cost} comparisons for each message, and ${LIMITS.filterCost} are allowed. ` +
          'A text of an IN list counts one, CONTAINS and its like count four.',
      );
    }
    return success({ cost, passes: compile(condition) });
  } catch (error) {
    if (!(error instanceof FilterSyntaxError)) throw error;
    return refused(`The filter expression is wrong at ${placeOf(expression, error.at)}: ${error.message}`);
  }
}

/** The expression without comments and needless spaces: two that differ in these only mean the same. */
export function canonicalSql(expression: string): string {
  return tokensOf(expression)
    .filter(({ kind }) => kind !== 'end')
    .map(({ kind, value }) => (kind === 'text' ? `'${value.replaceAll("'", "''")}'` : value))
    .join(' ');
}

function refused(message: string): Outcome<never> {
  return failure('ILLEGAL_FILTER_EXPRESSION', message);
}

/** Where to look: the number of the character and what stands there. */
function placeOf(expression: string, at: number): string {
  const near = expression.slice(at, at + 20);
  return near === '' ? 'its end' : `character ${at + 1}, "${near}"`;
}
