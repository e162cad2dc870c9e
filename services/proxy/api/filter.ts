// The filter expression of a receive: the list of tags in it, or SQL on the properties. The filter of each request
// counts; what a client said in its settings is only for information.
import type { MessageFilter } from '@fulmar/core/broker-api.ts';
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { sqlFilterOf } from '@fulmar/core/filter/sql-filter.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { FILTER_TYPE } from './messages.ts';

const EVERYTHING: Outcome<MessageFilter> = success({});

/** SQL that was found right lately: every receive repeats the expression of its subscription. */
const knownSql = new Set<string>();
const KNOWN_SQL_MAX = 1_000;

export function parseFilter(type: number, expression: string): Outcome<MessageFilter> {
  if (type === FILTER_TYPE.sql) return parseSql(expression);
  if (type !== FILTER_TYPE.unspecified && type !== FILTER_TYPE.tag) {
    return failure('ILLEGAL_FILTER_EXPRESSION', 'The filter has an unknown type. Use TAG or SQL.');
  }
  if (expression === '' || expression === '*') return EVERYTHING;
  if (Buffer.byteLength(expression) > LIMITS.filterExpressionBytes) {
    return failure(
      'ILLEGAL_FILTER_EXPRESSION',
      `The filter expression is too long. Use at most ${LIMITS.filterExpressionBytes} bytes.`,
    );
  }
  const tags = new Set<string>();
  for (const part of expression.split('||')) {
    const tag = part.trim();
    if (tag === '*') return EVERYTHING;
    if (tag.includes('|')) {
      return failure('ILLEGAL_FILTER_EXPRESSION', 'The tags of a filter are separated by "||". Write "a || b".');
    }
    if (tag !== '') tags.add(tag);
  }
  if (tags.size > LIMITS.filterTags) {
    return failure('ILLEGAL_FILTER_EXPRESSION', `The filter has too many tags. Use at most ${LIMITS.filterTags}.`);
  }
  if (tags.size === 0) {
    return expression.trim() === ''
      ? EVERYTHING
      : failure('ILLEGAL_FILTER_EXPRESSION', 'The filter has no tag. Name one, or use "*" for all messages.');
  }
  return success({ tags: [...tags] });
}

function parseSql(expression: string): Outcome<MessageFilter> {
  if (!knownSql.has(expression)) {
    const { fault } = sqlFilterOf(expression);
    if (fault !== undefined) return { fault };
    if (knownSql.size >= KNOWN_SQL_MAX) knownSql.clear();
    knownSql.add(expression);
  }
  return success({ sql: expression });
}
