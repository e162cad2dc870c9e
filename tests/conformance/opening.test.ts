// How far the opening of a log is, as whoever waits for a broker is told, on a real disk.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSoleBroker } from '@fulmar/broker/sole-broker.ts';
import { silentLogger, silentObserver } from '@fulmar/core/ports.ts';
import { systemClock, systemRandom, systemTimers } from '@fulmar/runtime/clock.ts';
import { nodeDisk } from '@fulmar/runtime/disk.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const MIB = 1024 ** 2;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fulmar-opening-'));
});

afterEach(() => rm(directory, { recursive: true }));

function open(onOpening: (progress: string) => void) {
  return openSoleBroker({
    ...{ cluster: 'c', set: 'a', version: '1', directory, disk: nodeDisk, onOpening },
    policy: {
      ...{ flush: 'async', flushIntervalMs: 500, segmentBytes: 16 * MIB, segmentRecords: 100_000 },
      ...{ retentionMs: 1e12, retentionBytes: 1e12, reserveBytes: 0 },
    },
    ...{ clock: systemClock, timers: systemTimers, random: systemRandom },
    ...{ logger: silentLogger, observer: silentObserver },
    // Small pieces, so that little is a large log.
    tuning: { scanWindowBytes: 4 * 1024 },
    onFailure: (error) => {
      throw error;
    },
  });
}

test('a broker tells how far it has read its log, and never more than there is', async () => {
  const told: string[] = [];
  const before = await open((progress) => told.push(progress));
  const names = Array.from({ length: 300 }, (_, i) => `topic-${i}`);
  await Promise.all(names.map((name) => before.putTopic({ name, type: 'normal', queues: 4 })));
  const { endPosition } = await before.status();
  await before.close();
  expect(told).toEqual([]);

  const again = await open((progress) => told.push(progress));
  expect(again.topicCount).toBe(300);
  await again.close();
  const read = told.map((sentence) => {
    const [, at, end] = /^The log is being read: (\d+) of at most (\d+) bytes\.$/.exec(sentence)!;
    expect(Number(end)).toBeGreaterThanOrEqual(endPosition);
    return Number(at);
  });
  expect(read.length).toBeGreaterThan(3);
  expect(read).toEqual(read.toSorted((a, b) => a - b));
  expect(read.at(-1)).toBeGreaterThan(endPosition / 2);
  expect(read.at(-1)).toBeLessThanOrEqual(endPosition);
});
