import { EventEmitter } from 'node:events';
import { silentLogger } from '@fulmar/core/ports.ts';
import { describe, expect, test } from '@jest/globals';
import { processLife } from './process.ts';
import { sleep, until } from './testing.ts';

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

describe('the life of a process', () => {
  test('warnings of the runtime are lines of the log, like everything else', () => {
    const events = new FakeProcess();
    const lines: object[] = [];
    events.on('warning', () => lines.push({ printed: true }));
    processLife({ logger: { ...silentLogger, warn: (event, fields) => lines.push({ event, ...fields }) }, events });
    events.emit('warning', new Error('MaxListeners'));
    expect(lines).toEqual([{ event: 'a warning of the runtime', warning: 'Error: MaxListeners' }]);
  });

  test('on SIGTERM the steps run one after the other, each within its deadline, then it exits with 0', async () => {
    const events = new FakeProcess();
    const life = processLife({ logger: silentLogger, events });
    const done: string[] = [];
    life.onStop({
      name: 'slow',
      deadlineMs: 1_000,
      run: async () => {
        await sleep(20);
        done.push('slow');
      },
    });
    life.onStop({ name: 'never', deadlineMs: 20, run: () => new Promise(() => {}) });
    life.onStop({
      name: 'fails',
      deadlineMs: 20,
      run: () => {
        throw new Error('no');
      },
    });
    life.onStop({ name: 'last', deadlineMs: 20, run: () => void done.push('last') });
    events.emit('SIGTERM');
    events.emit('SIGTERM');
    expect(life.stopping).toBe(true);
    await until(() => events.exits.length > 0);
    expect(done).toEqual(['slow', 'last']);
    expect(events.exits).toEqual([0]);
  });

  test('a second SIGINT ends it at once', async () => {
    const events = new FakeProcess();
    const life = processLife({ logger: silentLogger, events });
    life.onStop({ name: 'long', deadlineMs: 30, run: () => new Promise(() => {}) });
    events.emit('SIGINT');
    events.emit('SIGINT');
    expect(events.exits).toEqual([1]);
    await life.stop('again');
  });

  test('a rejection that nobody handled ends it with 1', () => {
    const events = new FakeProcess();
    processLife({ logger: silentLogger, events });
    events.emit('unhandledRejection', new Error('bug'));
    expect(events.exits).toEqual([1]);
  });
});
