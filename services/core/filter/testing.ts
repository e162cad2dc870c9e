// Messages for the tests of filters: the stored parts of a message with given properties, as a proxy would send them.
import { ProtobufWriter } from '../protobuf.ts';
import type { Filterable } from './properties.ts';

export function messageWith(
  properties: Readonly<Record<string, string>>,
  tag = '',
  keys: readonly string[] = [],
): Filterable {
  const user = new ProtobufWriter(64);
  for (const [key, value] of Object.entries(properties)) {
    const mark = user.begin(2);
    user.string(1, key).string(2, value);
    user.end(mark);
  }
  const system = new ProtobufWriter(64);
  if (tag !== '') system.string(1, tag);
  for (const key of keys) system.string(2, key);
  return { userPart: user.finish(), systemPart: system.finish() };
}
