// The promises of the Clock, Timers and Random ports, held by the machine's own.
import { expect, test } from '@jest/globals';
import { systemClock, systemRandom, systemTimers } from './clock.ts';

test('a timer never runs before its time', async () => {
  for (let delayMs = 0; delayMs < 10; delayMs += 0.7) {
    const from = systemClock.monotonicMs();
    await new Promise<void>((resolve) => systemTimers.after(delayMs, resolve));
    expect(systemClock.monotonicMs() - from).toBeGreaterThanOrEqual(delayMs);
  }
});

test('a timer that is cancelled does not run', async () => {
  let ran = false;
  const timer = systemTimers.after(1, () => {
    ran = true;
  });
  timer.cancel();
  await new Promise<void>((resolve) => systemTimers.after(5, resolve));
  expect(ran).toBe(false);
});

test('soon comes behind promise callbacks and before any later timer', async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    systemTimers.after(20, () => {
      order.push('timer');
      resolve();
    });
    systemTimers.soon(() => order.push('soon'));
    Promise.resolve().then(() => order.push('promise'));
  });
  expect(order).toEqual(['promise', 'soon', 'timer']);
});

test('random numbers fill 32 bits', () => {
  let all = 0;
  for (let i = 0; i < 1000; i++) {
    const number = systemRandom.uint32();
    expect(number >= 0 && number < 2 ** 32 && Number.isInteger(number)).toBe(true);
    all |= number;
  }
  expect(all >>> 0).toBe(2 ** 32 - 1);
});
