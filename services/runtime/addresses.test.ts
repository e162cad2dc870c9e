import { isReachableAddress, joinAddress, splitAddress } from '@fulmar/core/addresses.ts';
import { describe, expect, test } from '@jest/globals';
import { resolveAddresses } from './addresses.ts';

describe('addresses', () => {
  test('are taken apart and put together', () => {
    for (const text of ['name:80', '127.0.0.1:80', '[::1]:80']) expect(joinAddress(splitAddress(text))).toBe(text);
    expect(splitAddress(':80')).toEqual({ host: '0.0.0.0', port: 80 });
    for (const text of ['name:80', '[::1]:65535']) expect(isReachableAddress(text)).toBe(true);
    for (const text of ['', 'name', 'name:', ':80', 'name:0', 'name:65536', '::1:80', 'a b:80']) {
      expect(isReachableAddress(text)).toBe(false);
    }
  });

  test('a name stands for all its machines, an address for itself, and each is told once', async () => {
    expect(await resolveAddresses(['127.0.0.2:1', '[::1]:1', '127.0.0.2:1'])).toEqual(['127.0.0.2:1', '[::1]:1']);
    expect(await resolveAddresses(['localhost:9', '127.0.0.1:9'])).toContain('127.0.0.1:9');
  });

  test('a name that is not known leaves the others, and alone is an error', async () => {
    expect(await resolveAddresses(['there-is-none.invalid:1', '127.0.0.1:1'])).toEqual(['127.0.0.1:1']);
    await expect(resolveAddresses(['there-is-none.invalid:1'])).rejects.toThrow();
  });
});
