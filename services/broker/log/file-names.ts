// What the files of a log directory are called. The number is the log position of the segment's first byte, written
// with twenty digits so that names sort like positions.

export type NumberedKind = 'log' | 'idx' | 'snap' | 'keys';

export const META_NAME = 'meta';
/** The next segment's file while it has no position yet. */
export const SPARE_NAME = 'next.prepared';
export const TEMPORARY_SUFFIX = '.tmp';
/** Sub-directory of files that are being fetched from another replica; worth nothing until they have left it. */
export const INCOMING_DIRECTORY = 'incoming';
/** Sub-directory of what was taken out of use, one directory in it for each store uid. */
export const QUARANTINE_DIRECTORY = 'quarantine';

export function numberedName(position: number, kind: NumberedKind): string {
  return `${String(position).padStart(20, '0')}.${kind}`;
}

/** What a name says, or undefined for one of any other shape. */
export function parseNumberedName(
  name: string,
): { readonly position: number; readonly kind: NumberedKind } | undefined {
  const match = /^(\d{20})\.(log|idx|snap|keys)$/.exec(name);
  const position = Number(match?.[1]);
  return Number.isSafeInteger(position) ? { position, kind: match![2] as NumberedKind } : undefined;
}

/** Positions of all files of one kind, ascending. */
export function positionsOf(names: readonly string[], kind: NumberedKind): number[] {
  const positions: number[] = [];
  for (const name of names) {
    const parsed = parseNumberedName(name);
    if (parsed?.kind === kind) positions.push(parsed.position);
  }
  return positions.sort((a, b) => a - b);
}
