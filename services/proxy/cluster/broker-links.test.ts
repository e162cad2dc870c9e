import type { BrokerEntry } from '@fulmar/core/route.ts';
import { describe, expect, test } from '@jest/globals';
import { type BrokerConnection, BrokerLinks } from './broker-links.ts';

function links() {
  const events: string[] = [];
  const reachable = new Map<string, boolean>();
  const changes: (() => void)[] = [];
  const made = new BrokerLinks(
    (address, onChange) => {
      events.push(`connect ${address}`);
      changes.push(onChange);
      return {
        get reachable() {
          return reachable.get(address) ?? true;
        },
        reconnect: () => events.push(`reconnect ${address}`),
        close: () => events.push(`close ${address}`),
      } as Partial<BrokerConnection> as BrokerConnection;
    },
    () => events.push('change'),
  );
  return { links: made, events, reachable, changes };
}

function master(set: string, address: string, epoch: number): BrokerEntry {
  return { cluster: 'c', set, replica: 'r', role: 'master', epoch, address, version: '1' };
}

describe('the connections to masters', () => {
  test('a new master is connected to, and the old one is left behind it', () => {
    const { links: made, events } = links();
    made.follow([master('a', 'one:1', 1)]);
    made.follow([master('a', 'two:1', 2)]);
    expect(events).toEqual(['connect one:1', 'connect two:1', 'close one:1']);
    expect(made.get('a')).toMatchObject({ epoch: 2, reachable: true });
  });

  test('a master that comes back at its address keeps its connection and is tried at once', () => {
    const { links: made, events, reachable } = links();
    made.follow([master('a', 'one:1', 1)]);
    reachable.set('one:1', false);
    made.follow([master('a', 'one:1', 1)]);
    expect(events).toEqual(['connect one:1']);
    made.follow([master('a', 'one:1', 2)]);
    expect(events).toEqual(['connect one:1', 'reconnect one:1']);
    reachable.set('one:1', true);
    made.follow([master('a', 'one:1', 3)]);
    expect(events).toHaveLength(2);
    expect(made.get('a')?.epoch).toBe(3);
  });

  test('whoever waits for a master hears when a connection breaks or is back', () => {
    const { links: made, events, changes } = links();
    made.follow([master('a', 'one:1', 1)]);
    changes[0]!();
    expect(events).toEqual(['connect one:1', 'change']);
  });
});
