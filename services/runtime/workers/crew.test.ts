import { silentLogger } from '@fulmar/core/ports.ts';
import { describe, expect, test } from '@jest/globals';
import { manualTime } from '../../proxy/testing/manual-time.ts';
import { Crew, type WorkerProcess } from './crew.ts';
import type { ToParent, ToWorker } from './messages.ts';

type Dialogue = { readonly sum: { readonly question: number; readonly answer: number } };

interface FakeWorker extends WorkerProcess<string, Dialogue, string> {
  readonly heard: ToWorker<string, Dialogue>[];
  readonly connections: string[];
  readonly signals: string[];
  say(message: ToParent<Dialogue>): void;
  end(how: string): void;
}

function world(count = 2) {
  const time = manualTime();
  const workers: FakeWorker[] = [];
  const events: string[] = [];
  const released: string[] = [];
  const crew = new Crew<string, Dialogue, string>({
    workers: count,
    work: (number) => `work of ${number}`,
    start(hear) {
      const { promise, resolve } = Promise.withResolvers<string>();
      const [heard, connections, signals]: [ToWorker<string, Dialogue>[], string[], string[]] = [[], [], []];
      const worker: FakeWorker = {
        ...{ pid: 100 + workers.length, ended: promise, heard, connections, signals, end: resolve, say: hear },
        send(message, connection) {
          heard.push(message);
          if (connection !== undefined) connections.push(connection);
        },
        signal(name) {
          signals.push(name);
          if (name === 'SIGKILL') resolve(name);
        },
      };
      workers.push(worker);
      return worker;
    },
    release: (connection) => released.push(connection),
    waitingMax: 10,
    clock: time.clock,
    timers: time.timers,
    logger: { ...silentLogger, error: (event) => events.push(event) },
    onFirstOpen: () => events.push('first open'),
    onHopeless: (how) => events.push(`hopeless: ${how}`),
    onRestart: () => events.push('restart'),
    onAsked: (kind, question) => events.push(`asked: ${kind} ${question}`),
  });
  const open = (worker: FakeWorker): void => {
    worker.say({ say: 'here' });
    worker.say({ say: 'open' });
    worker.say({ say: 'state', unready: undefined });
  };
  return { time, crew, workers, events, released, open };
}

describe('a crew', () => {
  test('tells each worker its work, and gives connections only to those that are open', async () => {
    const { crew, workers, open, events } = world();
    crew.take('early');
    for (const worker of workers) worker.say({ say: 'here' });
    expect(workers.map(({ heard }) => heard)).toEqual([
      [{ say: 'begin', work: 'work of 0' }],
      [{ say: 'begin', work: 'work of 1' }],
    ]);
    open(workers[1]!);
    crew.take('next');
    expect(workers.map(({ connections }) => connections)).toEqual([[], ['early', 'next']]);
    expect(events).toEqual(['first open']);
  });

  test('goes on with the others when a worker dies, starts it again, and begins to use the new one', async () => {
    const { time, crew, workers, open, events } = world();
    for (const worker of workers) open(worker);
    crew.take('1');
    expect(workers[0]!.connections).toEqual(['1']);
    workers[0]!.end('SIGKILL');
    await time.advance(0);
    // Nobody had taken it yet.
    expect(workers[1]!.connections).toEqual(['1']);
    expect([crew.open, crew.unready()]).toEqual([1, undefined]);
    await time.advance(200);
    expect(workers).toHaveLength(3);
    workers[0]!.say({ say: 'open' });
    expect(crew.open).toBe(1);
    open(workers[2]!);
    expect(workers[2]!.heard[0]).toEqual({ say: 'begin', work: 'work of 0' });
    crew.take('2');
    expect([crew.open, workers[2]!.connections]).toEqual([2, ['2']]);
    expect(events).toEqual(['first open', 'a worker has ended', 'restart']);
  });

  test('is ready as long as one worker is, and says why when none is', async () => {
    const { time, crew, workers, open } = world();
    expect(crew.unready()).toBe('No worker runs at the moment; each is started again.');
    open(workers[0]!);
    workers[1]!.say({ say: 'open' });
    expect(crew.unready()).toBeUndefined();
    workers[0]!.say({ say: 'state', unready: 'No broker is known yet.' });
    expect(crew.unready()).toBe('No broker is known yet.');
    workers[1]!.say({ say: 'state', unready: undefined });
    expect(crew.unready()).toBeUndefined();
    for (const worker of workers) worker.end('SIGKILL');
    await time.advance(0);
    expect(crew.unready()).toBe('No worker runs at the moment; each is started again.');
  });

  test('ends a worker that has been silent for half a minute, and starts it again', async () => {
    const { time, workers, open } = world();
    for (const worker of workers) open(worker);
    for (let passedMs = 0; passedMs < 30_000; passedMs += 1_000) {
      expect(workers).toHaveLength(2);
      workers[1]!.say({ say: 'state', unready: undefined });
      await time.advance(1_000);
    }
    await time.advance(200);
    expect(workers.map(({ signals }) => signals)).toEqual([['SIGKILL'], [], []]);
  });

  test('relays a question to all other workers, and does not wait for one that hangs or dies', async () => {
    const { time, workers, events, open } = world(4);
    const [asker, second, third, fourth] = workers as [FakeWorker, FakeWorker, FakeWorker, FakeWorker];
    for (const worker of workers) open(worker);
    asker.say({ say: 'ask', id: 7, kind: 'sum', question: 5, withinMs: 2_000 });
    expect(events.at(-1)).toBe('asked: sum 5');
    const [asked] = second.heard.filter(({ say }) => say === 'question');
    expect(asked).toMatchObject({ kind: 'sum', question: 5 });
    const { id } = asked as { readonly id: number };
    second.say({ say: 'answer', id, answer: 10 });
    third.end('SIGKILL');
    await time.advance(1_900);
    expect(asker.heard.at(-1)).toEqual({ say: 'begin', work: 'work of 0' });
    await time.advance(100);
    expect(asker.heard.at(-1)).toEqual({ say: 'answers', id: 7, answers: [10] });
    fourth.say({ say: 'answer', id, answer: 11 });
    expect(asker.heard.filter(({ say }) => say === 'answers')).toHaveLength(1);
  });

  test('answers the parent by the numbers of the workers', async () => {
    const { time, crew, workers, open } = world();
    for (const worker of workers) open(worker);
    const asked = crew.ask('sum', 1, 2_000);
    for (const [i, { heard, say }] of workers.entries()) {
      const { id } = heard.at(-1) as { readonly id: number };
      say({ say: 'answer', id, answer: i * 100 });
    }
    expect([...(await asked)]).toEqual([
      [0, 0],
      [1, 100],
    ]);
    await time.advance(0);
  });

  test('does not go on for ever when a worker cannot even start', async () => {
    const { time, workers, events } = world();
    workers[0]!.end('code 1');
    await time.advance(0);
    expect(events).toEqual(['a worker has ended', 'hopeless: code 1']);
  });

  test('ends all workers when it stops, by force those that do not, and takes no more connections', async () => {
    const { time, crew, workers, released, open } = world();
    for (const worker of workers) open(worker);
    const stopping = crew.stop(5_000);
    crew.take('late');
    expect([released, crew.unready()]).toEqual([['late'], 'The proxy is stopping.']);
    workers[0]!.end('code 0');
    await time.advance(5_000);
    await stopping;
    expect(workers.map(({ signals }) => signals)).toEqual([['SIGTERM'], ['SIGTERM', 'SIGKILL']]);
    await time.advance(60_000);
    expect(workers).toHaveLength(2);
  });
});
