// One list out of the lists of all broker sets, page by page. Each set goes on behind the last of its messages that was
// shown; the token holds one place for each set and nothing else, so that any proxy can answer for the next page.
import type { FoundMessage, FoundMessages } from '@fulmar/core/finding-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';

/** By set: the page of its broker; DONE for one that has shown all. A set that is missing begins. */
export type Places = ReadonlyMap<string, number>;

export const DONE = -1;

export interface SetMessages {
  readonly set: string;
  readonly found: FoundMessages;
}

export interface MergedPage {
  readonly messages: readonly (FoundMessage & { readonly set: string })[];
  readonly places: Places;
}

/** `oldestFirst` says how each set has ordered its messages; `before` is where the sets were asked to begin. */
export function mergePages(
  answers: readonly SetMessages[],
  before: Places,
  size: number,
  oldestFirst: boolean,
): MergedPage {
  const lists = answers.map(({ set, found }) => ({ set, found, shown: 0 }));
  const messages: (FoundMessage & { readonly set: string })[] = [];
  let bytes = 0;
  // Each set keeps to the bound; all together have to as well.
  while (messages.length < size && bytes < LIMITS.foundBytes) {
    let next: (typeof lists)[number] | undefined;
    for (const list of lists) {
      const message = list.found.messages[list.shown];
      const best = next?.found.messages[next.shown];
      if (message === undefined) continue;
      const comes = best === undefined || oldestFirst === message.storedAtMs < best.storedAtMs;
      if (comes) next = list;
    }
    if (next === undefined) break;
    const message = next.found.messages[next.shown++]!;
    messages.push({ set: next.set, ...message });
    bytes += message.userPart.length + message.systemPart.length + message.body.length;
  }
  const places = new Map(before);
  for (const { set, found, shown } of lists) {
    const last = found.messages[shown - 1];
    if (shown === found.messages.length) places.set(set, found.next || DONE);
    else if (last !== undefined) places.set(set, last.position + (oldestFirst ? 1 : 0));
  }
  return { messages, places };
}

export function writePlaces(places: Places, sets: readonly string[]): string {
  if (sets.every((set) => places.get(set) === DONE)) return '';
  return Buffer.from(JSON.stringify([...places])).toString('base64url');
}

/** Undefined for what no proxy has written. */
export function readPlaces(token: string): Places | undefined {
  if (token === '') return new Map();
  let rows: unknown;
  try {
    rows = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(rows)) return undefined;
  const places = new Map<string, number>();
  for (const row of rows) {
    if (!Array.isArray(row)) return undefined;
    const [set, page]: unknown[] = row;
    if (typeof set !== 'string' || !Number.isSafeInteger(page) || (page as number) < DONE) return undefined;
    places.set(set, page as number);
  }
  return places;
}
