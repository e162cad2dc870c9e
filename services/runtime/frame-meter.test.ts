import { describe, expect, test } from '@jest/globals';
import { FrameMeter } from './frame-meter.ts';
import { frame } from './testing.ts';

describe('a frame meter', () => {
  test('counts messages and the bytes of an unfinished one, however the bytes are cut', () => {
    const bytes = Buffer.concat([frame(Buffer.alloc(300)), frame(Buffer.alloc(0)), frame(Buffer.alloc(7))]);
    for (let size = 1; size <= bytes.length; size++) {
      const meter = new FrameMeter();
      for (let at = 0; at < bytes.length; at += size) meter.read(bytes.subarray(at, at + size));
      expect(meter.messages).toBe(3);
      expect(meter.partialBytes).toBe(0);
      meter.read(bytes.subarray(0, 100));
      expect(meter.partialBytes).toBe(100);
    }
  });
});
