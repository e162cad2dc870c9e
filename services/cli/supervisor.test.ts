import type { Child } from '@fulmar/runtime/child-process.ts';
import { describe, expect, test } from '@jest/globals';
import { manualTime } from '../proxy/testing/manual-time.ts';
import { Supervisor } from './supervisor.ts';

interface FakeChild extends Child {
  readonly signals: string[];
  end(how: string): void;
}

function supervised() {
  const time = manualTime();
  const children: FakeChild[] = [];
  const told: string[] = [];
  const supervisor = new Supervisor({
    name: 'set-0/replica-1',
    start() {
      const { promise, resolve } = Promise.withResolvers<string>();
      const signals: string[] = [];
      const signal = (name: string): void => {
        signals.push(name);
        if (name === 'SIGKILL') resolve(name);
      };
      const child = { pid: 100 + children.length, ended: promise, signal, signals, end: resolve };
      children.push(child);
      return child;
    },
    clock: time.clock,
    timers: time.timers,
    tell: (sentence) => told.push(sentence),
  });
  return { time, children, told, supervisor };
}

describe('a supervised replica', () => {
  test('is started again when it ends, and both is said', async () => {
    const { time, children, told, supervisor } = supervised();
    children[0]!.end('SIGKILL');
    await time.advance(0);
    expect(supervisor.pid).toBeUndefined();
    await time.advance(200);
    expect(supervisor.pid).toBe(101);
    expect(told).toEqual([
      'set-0/replica-1 (pid 100) has ended: SIGKILL. It is started again in 0.2 s.',
      'set-0/replica-1 runs again, with pid 101.',
    ]);
  });

  test('that ends again and again is started less and less often, until it has stayed for a while', async () => {
    const { time, children } = supervised();
    const pauses: number[] = [];
    for (let i = 0; i < 7; i++) {
      children.at(-1)!.end('code 1');
      const before = children.length;
      let waitedMs = 0;
      for (; children.length === before; waitedMs += 100) await time.advance(100);
      pauses.push(waitedMs);
    }
    expect(pauses).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    await time.advance(10_000);
    children.at(-1)!.end('code 1');
    const before = children.length;
    await time.advance(200);
    expect(children.length).toBe(before + 1);
  });

  test('is asked to end and killed only when it does not, and is not started again', async () => {
    const { time, children, supervisor } = supervised();
    let stopped = false;
    const stopping = supervisor.stop(5_000).then(() => {
      stopped = true;
    });
    await time.advance(4_999);
    expect([stopped, children[0]!.signals]).toEqual([false, ['SIGTERM']]);
    await time.advance(1);
    await stopping;
    expect(children[0]!.signals).toEqual(['SIGTERM', 'SIGKILL']);
    await time.advance(60_000);
    expect(children).toHaveLength(1);
  });

  test('is not started any more when it is stopped in a pause', async () => {
    const { time, children, supervisor } = supervised();
    children[0]!.end('code 1');
    await time.advance(0);
    await supervisor.stop(5_000);
    await time.advance(60_000);
    expect(children).toHaveLength(1);
  });
});
