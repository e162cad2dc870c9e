import { ProtobufError } from '@fulmar/core/protobuf.ts';
import { describe, expect, test } from '@jest/globals';
import { BatchWriter, readBatch } from './batch-writer.ts';

/** A network that takes a frame when the test says so. */
function network() {
  const frames: Buffer[] = [];
  const flushes: (() => void)[] = [];
  const write = (frame: Buffer, flushed: () => void) => {
    frames.push(frame);
    flushes.push(flushed);
  };
  return { frames, flushes, write };
}

function entriesOf(frame: Buffer): string[] {
  const entries: string[] = [];
  readBatch(frame, (entry) => entries.push(entry.bytes.toString('utf8', entry.position, entry.end)));
  return entries;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a batch writer', () => {
  test('sends what one turn brings in one frame, and what comes while it is under way in the next', async () => {
    const { frames, flushes, write } = network();
    const writer = new BatchWriter(write);
    for (let i = 0; i < 100; i++) writer.add(Buffer.from(`first-${i}`));
    await turn();
    expect(frames).toHaveLength(1);
    for (let i = 0; i < 100; i++) {
      writer.add(Buffer.from(`second-${i}`));
      if (i % 10 === 0) await turn();
    }
    expect(frames).toHaveLength(1);
    flushes[0]!();
    expect(frames).toHaveLength(2);
    expect(entriesOf(frames[0]!)).toEqual(Array.from({ length: 100 }, (_, i) => `first-${i}`));
    expect(entriesOf(frames[1]!)).toEqual(Array.from({ length: 100 }, (_, i) => `second-${i}`));
    flushes[1]!();
    expect(writer.pendingBytes).toBe(0);
  });

  test('lets no frame grow beyond a megabyte, and sends a larger entry alone', async () => {
    const { frames, flushes, write } = network();
    const writer = new BatchWriter(write);
    for (const bytes of [600_000, 600_000, 3_000_000, 10, 10]) writer.add(Buffer.alloc(bytes, 'x'));
    await turn();
    for (let i = 0; i < flushes.length; i++) flushes[i]!();
    expect(frames.map((frame) => entriesOf(frame).map((entry) => entry.length))).toEqual([
      [600_000],
      [600_000],
      [3_000_000],
      [10, 10],
    ]);
  });

  test('tells of entries that will never arrive, and of no others', async () => {
    const { flushes, write } = network();
    const writer = new BatchWriter(write);
    const lost: string[] = [];
    writer.add(Buffer.from('flushed'), () => lost.push('flushed'));
    await turn();
    flushes[0]!();
    writer.add(Buffer.from('under way'), () => lost.push('under way'));
    await turn();
    writer.add(Buffer.from('collected'), () => lost.push('collected'));
    writer.close();
    writer.add(Buffer.from('too late'), () => lost.push('too late'));
    expect(lost).toEqual(['under way', 'collected', 'too late']);
  });

  test('that is held writes nothing before it is started', async () => {
    const { frames, write } = network();
    const writer = new BatchWriter(write, true);
    writer.add(Buffer.from('entry'));
    await turn();
    expect(frames).toHaveLength(0);
    writer.start();
    expect(frames).toHaveLength(1);
  });

  test('reads no frame that is cut off', () => {
    expect(() => readBatch(Buffer.from([0x0a, 5, 1]), () => {})).toThrow(ProtobufError);
  });
});
