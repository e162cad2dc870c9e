// The token between two pages of a trace: how far the log has been read, and how far each group's story had come by
// then. Brokers keep nothing between two calls, so that any replica can go on after a fail-over.
import type { StoryPoint, TraceStory } from './trace-story.ts';

export interface TracePage {
  readonly position: number;
  /** By group id; a group that is missing is at the beginning of its story. */
  readonly points: ReadonlyMap<number, StoryPoint>;
}

export const NO_POINTS: TracePage['points'] = new Map();

export function writeTracePage(position: number, stories: ReadonlyMap<number, { readonly story: TraceStory }>): string {
  const rows = [...stories].map(([groupId, { story }]) => {
    const { phase, popId, attempt, client, renewed } = story.point;
    return [groupId, phase, popId, attempt, client, renewed];
  });
  return Buffer.from(JSON.stringify([position, ...rows])).toString('base64url');
}

/** Undefined for what no broker has written. */
export function readTracePage(token: string): TracePage | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const [position, ...rows]: unknown[] = parsed;
  if (!isCount(position)) return undefined;
  const points = new Map<number, StoryPoint>();
  for (const row of rows) {
    if (!Array.isArray(row)) return undefined;
    const [groupId, phase, popId, attempt, client, renewed]: unknown[] = row;
    const isWhole = isCount(groupId) && isCount(phase) && isCount(popId) && isCount(attempt);
    if (!isWhole || typeof client !== 'string' || typeof renewed !== 'boolean') return undefined;
    points.set(groupId, { phase, popId, attempt, client, renewed });
  }
  return { position, points };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
