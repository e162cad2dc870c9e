import { describe, expect, test } from '@jest/globals';
import { Spread } from './spread.ts';

function world(waitingMax = 10) {
  const given: { readonly worker: string; readonly id: number; readonly connection: string }[] = [];
  const released: string[] = [];
  const spread = new Spread<string, string>({
    give: (worker, id, connection) => given.push({ worker, id, connection }),
    release: (connection) => released.push(connection),
    waitingMax,
  });
  const takeAll = (...connections: readonly string[]): void => {
    for (const connection of connections) {
      spread.take(connection);
      const last = given.at(-1);
      if (last?.connection === connection) spread.taken(last.worker, last.id);
    }
  };
  return { spread, given, released, takeAll, workersOf: () => given.map(({ worker }) => worker) };
}

describe('connections of clients', () => {
  test('go to the workers in turn, so that few clients already use all of them', () => {
    const { spread, takeAll, workersOf, released } = world();
    for (const worker of ['a', 'b', 'c']) spread.add(worker);
    takeAll('1', '2', '3', '4', '5', '6');
    expect(workersOf()).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    expect(released).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  test('go to the worker that has fewest, also when others have lost theirs or it was started again', () => {
    const { spread, takeAll, workersOf } = world();
    spread.add('a');
    takeAll('1', '2', '3');
    spread.add('b');
    takeAll('4', '5', '6');
    expect(workersOf().slice(3)).toEqual(['b', 'b', 'b']);
    spread.closed('a');
    spread.closed('a');
    takeAll('7', '8', '9');
    expect(workersOf().slice(6)).toEqual(['a', 'a', 'b']);
    expect([spread.open('a'), spread.open('b')]).toEqual([3, 4]);
  });

  test('that a worker has not taken when it dies go to another one, and those that it had taken do not', () => {
    const { spread, given, released, takeAll } = world();
    spread.add('a');
    takeAll('taken');
    spread.take('under way');
    spread.add('b');
    spread.remove('a');
    expect(given.at(-1)).toMatchObject({ worker: 'b', connection: 'under way' });
    // What the dead one said before it died is late.
    spread.taken('a', given[1]!.id);
    expect(released).toEqual(['taken']);
    spread.taken('b', given.at(-1)!.id);
    expect(released).toEqual(['taken', 'under way']);
  });

  test('wait while there is no worker, up to a bound, and the first one gets them in their order', () => {
    const { spread, given, released, takeAll } = world(2);
    takeAll('1', '2', '3');
    expect([given, released]).toEqual([[], ['3']]);
    spread.add('a');
    expect(given.map(({ connection }) => connection)).toEqual(['1', '2']);
    spread.remove('a');
    spread.stop();
    expect(released).toEqual(['3', '1', '2']);
  });
});
