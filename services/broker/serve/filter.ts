// Judges messages by the filter of a subscription. Tags are looked up by their hash in the index first, so that most
// messages that do not pass are never read; SQL looks at the stored properties, so each message is read for it once.
import type { MessageFilter } from '@fulmar/core/broker-api.ts';
import { type Outcome, success } from '@fulmar/core/errors.ts';
import { canonicalSql, sqlFilterOf } from '@fulmar/core/filter/sql-filter.ts';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import { type MessageRecord, tagHashOf } from '../state/records/message.ts';
import { EVERYTHING } from '../state/subscription.ts';

export interface PreparedFilter {
  /** The filter as administrators see it. Filters with the same text let the same messages through. */
  readonly text: string;
  /** Hashes of the tags that may pass; undefined if the index cannot tell. */
  readonly tagHashes: ReadonlySet<number> | undefined;
  /** Comparisons that judging one message takes at most; 0 if only the index is looked at. */
  readonly cost: number;
  readonly passes: (message: MessageRecord) => boolean;
}

const ALL: PreparedFilter = { text: EVERYTHING, tagHashes: undefined, cost: 0, passes: () => true };

export function prepareFilter({ tags, sql }: MessageFilter): Outcome<PreparedFilter> {
  if (sql !== undefined) {
    const { value, fault } = sqlFilterOf(sql);
    if (fault !== undefined) return { fault };
    return success({ text: `SQL ${canonicalSql(sql)}`, tagHashes: undefined, ...value });
  }
  if (tags === undefined) return success(ALL);
  const wanted = new Set(tags);
  return success({
    text: `tags ${[...wanted].sort().join(' || ')}`,
    tagHashes: new Set(tags.map(tagHashOf)),
    cost: 0,
    passes: (message) => wanted.has(tagOf(message)),
  });
}

export function isSameFilter(one: MessageFilter, other: MessageFilter): boolean {
  if (one.sql !== other.sql || one.tags?.length !== other.tags?.length) return false;
  return one.tags === undefined || one.tags.every((tag, i) => tag === other.tags![i]);
}

const TAG_FIELD = 1;

/** The tag in a message's system properties, empty for none. */
export function tagOf(message: MessageRecord): string {
  if (message.tagHash === 0) return '';
  const reader = new ProtobufReader(
    Buffer.from(message.systemPart.buffer, message.systemPart.byteOffset, message.systemPart.length),
  );
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === TAG_FIELD) return reader.string();
    reader.skip(tag);
  }
  return '';
}
