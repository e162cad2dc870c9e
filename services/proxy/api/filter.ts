// The filter expression of a receive: the list of tags in it. The filter of each request counts; what a client said in
// its settings is only for information.
import type { TagFilter } from '@fulmar/core/broker-api.ts';
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { FILTER_TYPE } from './messages.ts';

const EVERYTHING: Outcome<TagFilter> = success({});

export function parseFilter(type: number, expression: string): Outcome<TagFilter> {
  if (type === FILTER_TYPE.sql) {
    return failure('NOT_IMPLEMENTED', 'SQL filters are not implemented yet. Subscribe with a tag expression.');
  }
  if (type !== FILTER_TYPE.unspecified && type !== FILTER_TYPE.tag) {
    return failure('ILLEGAL_FILTER_EXPRESSION', 'The filter has an unknown type. Use TAG.');
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
