import { describe, expect, test } from '@jest/globals';
import { manualTime } from '../proxy/testing/manual-time.ts';
import type { Child } from './child-process.ts';
import { Supervisor, type SupervisorNews } from './supervisor.ts';

interface FakeChild extends Child {
  readonly signals: string[];
  end(how: string): void;
}

function supervised() {
  const time = manualTime();
  const children: FakeChild[] = [];
  const told: SupervisorNews[] = [];
  const supervisor = new Supervisor({
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
    tell: (news) => told.push(news),
  });
  return { time, children, told, supervisor };
}

describe('a supervised process', () => {
  test('is started again when it ends, and both is said', async () => {
    const { time, children, told, supervisor } = supervised();
    children[0]!.end('SIGKILL');
    await time.advance(0);
    expect(supervisor.pid).toBeUndefined();
    await time.advance(200);
    expect(supervisor.pid).toBe(101);
    expect(told).toEqual([
      { kind: 'ended', pid: 100, how: 'SIGKILL', againInMs: 200 },
      { kind: 'started', pid: 101 },
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

  test('that is killed because it hangs is started again', async () => {
    const { time, children, supervisor } = supervised();
    supervisor.kill();
    await time.advance(200);
    expect([children[0]!.signals, supervisor.pid]).toEqual([['SIGKILL'], 101]);
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
