import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DueHeap } from './due-heap.ts';
import type { Lease } from './lease.ts';

function leaseOf(queueOffset: number): Lease {
  return {
    ...{ queueId: 0, queueOffset, attempt: 1, visibleAtMs: 0, popId: 1, renewedBy: '' },
    ...{ lane: 0, live: true, ready: false, turn: 0 },
  };
}

test('leases come out when they are due, the longest-due first, each at its newest time only', () => {
  const step = fc.record({ lease: fc.nat(9), atMs: fc.nat(50), settle: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new DueHeap();
      const leases = Array.from({ length: 10 }, (_, i) => leaseOf(i));
      for (const { lease, atMs, settle } of steps) {
        leases[lease]!.live = !settle;
        leases[lease]!.visibleAtMs = atMs;
        if (!settle) heap.push(leases[lease]!, 10);
      }
      const pushed = new Set(steps.map(({ lease }) => lease));
      const expected = leases.filter(({ live }, i) => live && pushed.has(i)).map(({ visibleAtMs }) => visibleAtMs);
      expected.sort((a, b) => a - b);
      expect(heap.nextMs()).toBe(expected[0]);
      const given: number[] = [];
      for (let nowMs = 0; nowMs <= 50; nowMs++) {
        for (let due = heap.takeDue(nowMs); due !== undefined; due = heap.takeDue(nowMs)) {
          due.ready = true;
          given.push(due.visibleAtMs);
          expect(due.visibleAtMs).toBe(nowMs);
        }
      }
      expect(given).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test('memory follows the live leases, not the history', () => {
  const heap = new DueHeap();
  for (let i = 0; i < 100_000; i++) {
    const lease = leaseOf(i);
    lease.visibleAtMs = 1_000_000 + i;
    heap.push(lease, 1);
    lease.live = false;
  }
  expect(heap.size).toBeLessThan(1_000);
});
