// Pages over several broker sets, against the one list that they are pages of.
import type { FoundMessage } from '@fulmar/core/finding-api.ts';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DONE, mergePages, readPlaces, writePlaces } from './merged-pages.ts';

const EMPTY = new Uint8Array();

function message(set: string, number: number, storedAtMs: number): FoundMessage {
  return {
    ...{ messageId: `${set}-${number}`, topic: 't', standing: 'queued', queueId: 0, queueOffset: number, detail: '' },
    ...{ position: number + 1, bornAtMs: 0, storedAtMs, deliverAtMs: 0, bodyBytes: 0 },
    ...{ userPart: EMPTY, systemPart: EMPTY, body: EMPTY },
  };
}

test('pages over all sets give every message once, in the order of time, whatever the sizes of the answers are', () => {
  const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 20 });
  const sets = fc.array(times, { minLength: 1, maxLength: 4 });
  const sizes = fc.record({ page: fc.integer({ min: 1, max: 7 }), oldestFirst: fc.boolean() });
  fc.assert(
    fc.property(sets, sizes, (all, { page: size, oldestFirst }) => {
      const lists = all.map((each, i) => {
        const ordered = [...each].sort((a, b) => a - b).map((atMs, number) => message(`set-${i}`, number, atMs));
        return { set: `set-${i}`, messages: oldestFirst ? ordered : ordered.reverse() };
      });
      const names = lists.map(({ set }) => set);
      const seen: FoundMessage[] = [];
      let token = '';
      do {
        const places = readPlaces(token)!;
        const answers = lists.flatMap(({ set, messages }) => {
          const from = places.get(set) ?? 0;
          if (from === DONE) return [];
          const left = messages.filter(({ position }) => {
            return from === 0 || (oldestFirst ? position >= from : position < from);
          });
          const shown = left.slice(0, size);
          const next = left.length === shown.length ? 0 : shown.at(-1)!.position + (oldestFirst ? 1 : 0);
          return [{ set, found: { messages: shown, next } }];
        });
        const merged = mergePages(answers, places, size, oldestFirst);
        seen.push(...merged.messages);
        token = writePlaces(merged.places, names);
      } while (token !== '');
      const expected = lists.flatMap(({ messages }) => messages);
      expect(new Set(seen.map(({ messageId }) => messageId)).size).toBe(expected.length);
      expect(seen).toHaveLength(expected.length);
      const storedAtMs = seen.map((each) => each.storedAtMs);
      expect(storedAtMs).toEqual([...storedAtMs].sort((a, b) => (oldestFirst ? a - b : b - a)));
    }),
  );
});

test('a token that no proxy has written is known as such', () => {
  for (const text of ['{}', '[1]', '[["a"]]', '[[1, 2]]', '[["a", -2]]', 'x']) {
    expect(readPlaces(Buffer.from(text).toString('base64url'))).toBeUndefined();
  }
});
