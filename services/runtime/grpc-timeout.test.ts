import { describe, expect, test } from '@jest/globals';
import { neutraliseTimeout, timeoutMs } from './grpc-timeout.ts';

const neutralised = (value: unknown): unknown => {
  const headers: Record<string, unknown> = { 'grpc-timeout': value };
  neutraliseTimeout(headers);
  return headers['grpc-timeout'];
};

describe('grpc-timeout', () => {
  test.each(['2999999u', '3000m', '3S', '1H', '0m', '20000000n'])('%s passes as it is', (value) => {
    expect(neutralised(value)).toBe(value);
  });

  test.each(['31535999M', '5256000M', '31536000S', '8761H', '999999999999S', '2147483648m'])(
    '%s is longer than a timer can hold and means no deadline',
    (value) => {
      expect(neutralised(value)).toBeUndefined();
    },
  );

  test('more digits than the standard allows are written anew, never shorter than they were', () => {
    expect(neutralised('100000000u')).toBe('100000m');
    expect(neutralised('123456789u')).toBe('123457m');
    expect(neutralised('2147483647m')).toBe('2147484S');
    expect(neutralised('000000003S')).toBe('3000m');
  });

  test.each(['', 'S', 'soon', '3', '-3S', '3.5S', '3 S S', ['3S', '4S']])('%j is no deadline', (value) => {
    expect(neutralised(value)).toBeUndefined();
  });

  test('a call without one stays without one', () => {
    const headers = { ':path': '/' };
    neutraliseTimeout(headers);
    expect(headers).toEqual({ ':path': '/' });
  });

  test('all units are understood', () => {
    expect(['1H', '1M', '1S', '1m', '1000u', '1000000n'].map(timeoutMs)).toEqual([3_600_000, 60_000, 1_000, 1, 1, 1]);
  });
});
