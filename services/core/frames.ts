// What has changed and is not yet told to somebody: a set of names, emptied frame by frame as fast as the other side
// reads. Whatever happens to one name in the meantime is told once, with its newest value, so that a slow reader costs
// no more memory than there are names, and a full snapshot is just "everything has changed".
import { NAME_SERVICE } from './name-service.ts';

export interface Frame<T> {
  readonly put: readonly T[];
  readonly deleted: readonly string[];
}

/** Takes names out of `waiting`, in order, until they are used up or the frame is large enough. */
export function takeFrame<T>(
  waiting: Set<string>,
  lookUp: (name: string) => T | undefined,
  bytesOf: (value: T) => number,
): Frame<T> {
  const put: T[] = [];
  const deleted: string[] = [];
  let bytes = 0;
  for (const name of waiting) {
    if (bytes >= NAME_SERVICE.frameBytes) break;
    waiting.delete(name);
    const value = lookUp(name);
    if (value === undefined) {
      deleted.push(name);
      bytes += name.length + 4;
    } else {
      put.push(value);
      bytes += bytesOf(value);
    }
  }
  return { put, deleted };
}
