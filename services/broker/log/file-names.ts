// What the files of a log directory are called. The number is the log position of the segment's first byte, written
// with twenty digits so that names sort like positions.

export type NumberedKind = 'log' | 'idx' | 'snap';

export const META_NAME = 'meta';
/** The next segment's file while it has no position yet. */
export const SPARE_NAME = 'next.prepared';
export const TEMPORARY_SUFFIX = '.tmp';

export function numberedName(position: number, kind: NumberedKind): string {
  return `${String(position).padStart(20, '0')}.${kind}`;
}

/** Positions of all files of one kind, ascending. */
export function positionsOf(names: readonly string[], kind: NumberedKind): number[] {
  const positions: number[] = [];
  for (const name of names) {
    const match = /^(\d{20})\.([a-z]+)$/.exec(name);
    if (match !== null && match[2] === kind) positions.push(Number(match[1]));
  }
  return positions.sort((a, b) => a - b);
}
