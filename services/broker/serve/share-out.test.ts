import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { shareOut } from './share-out.ts';

const consumers = fc.uniqueArray(fc.constantFrom(...'abcdefghij'), { minLength: 1 });
const world = fc.record({
  queues: fc.integer({ min: 0, max: 12 }),
  members: consumers,
  owners: fc.array(fc.constantFrom(...'abcdefghijxyz'), { maxLength: 12 }).map((list) => new Map(list.entries())),
});

function counts(plan: readonly (string | undefined)[], members: readonly string[]): number[] {
  return members.map((member) => plan.filter((owner) => owner === member).length);
}

test('every queue belongs to a consumer that is there, and nobody has more than one above another', () => {
  fc.assert(
    fc.property(world, ({ queues, members, owners }) => {
      const plan = shareOut(queues, members, owners);
      expect(plan).toHaveLength(queues);
      expect(plan.every((owner) => owner !== undefined && members.includes(owner))).toBe(true);
      const held = counts(plan, members);
      expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1);
    }),
  );
});

test('a queue moves only if its owner has left or has more than its share', () => {
  fc.assert(
    fc.property(world, ({ queues, members, owners }) => {
      const plan = shareOut(queues, members, owners);
      const most = Math.ceil(queues / members.length);
      for (const member of members) {
        const had = [...owners].filter(([queueId, owner]) => owner === member && queueId < queues).length;
        const kept = plan.filter((owner, queueId) => owner === member && owners.get(queueId) === member).length;
        expect(kept).toBeGreaterThanOrEqual(Math.min(had, most - 1));
        expect(kept).toBeLessThanOrEqual(most);
      }
      const settled = new Map(plan.map((owner, queueId) => [queueId, owner!]));
      expect(shareOut(queues, members, settled)).toEqual(plan);
    }),
  );
});

test('without consumers nobody is named', () => {
  expect(shareOut(2, [], new Map([[0, 'gone']]))).toEqual([undefined, undefined]);
});
