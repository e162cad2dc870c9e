import { describe, expect, test } from '@jest/globals';
import { createAddressing, endpointsOf, parseAddress } from './endpoints.ts';

describe('addresses that clients are told', () => {
  test.each([
    ['10.0.0.1:8081', { host: '10.0.0.1', port: 8081 }],
    ['mq.example.com:80', { host: 'mq.example.com', port: 80 }],
    ['mq', { host: 'mq', port: 8081 }],
    ['[fd00::1]:9', { host: 'fd00::1', port: 9 }],
    ['fd00::1', { host: 'fd00::1', port: 8081 }],
    ['', undefined],
    [':80', undefined],
    ['h:', undefined],
    ['h:x', undefined],
    ['h:0', undefined],
    ['h:65536', undefined],
  ])('%j', (text, expected) => {
    expect(parseAddress(text)).toEqual(expected);
  });

  test('the scheme fits the host', () => {
    const choice = [
      { host: '10.0.0.1', port: 1 },
      { host: 'fd00::1', port: 2 },
      { host: 'mq.example.com', port: 3 },
      { host: '10.0.0.256', port: 4 },
    ];
    expect(choice.map((_, i) => endpointsOf(choice, i).scheme)).toEqual([1, 2, 3, 3]);
  });

  test('there is always an address', () => {
    expect(createAddressing([]).choose(undefined, '')).toEqual([{ host: 'localhost', port: 8081 }]);
  });
});
