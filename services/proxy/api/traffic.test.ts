import { ERRORS, OK } from '@fulmar/core/errors.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { expect, test } from '@jest/globals';
import { createTraffic } from './traffic.ts';

function counting(): { readonly observer: Observer; readonly counted: Map<string, number> } {
  const counted = new Map<string, number>();
  const add = (name: string, labels: Readonly<Record<string, string>>, value: number): void => {
    const key = `${name} ${Object.values(labels).join(' ')}`;
    counted.set(key, (counted.get(key) ?? 0) + value);
  };
  return {
    counted,
    observer: { count: add, observe: add, bind: (name, labels) => (value) => add(name, labels, value) },
  };
}

test('requests that were refused are counted by method and the name of the error, and nothing else is', () => {
  const { observer, counted } = counting();
  const { answered } = createTraffic(observer);
  answered('SendMessage', OK, 1);
  answered('ReceiveMessage', ERRORS.MESSAGE_NOT_FOUND.code, 1);
  answered('SendMessage', ERRORS.TOO_MANY_REQUESTS.code, 1);
  answered('SendMessage', ERRORS.TOO_MANY_REQUESTS.code, 1);
  answered('AckMessage', ERRORS.INVALID_RECEIPT_HANDLE.code, 1);
  const refused = [...counted].filter(([key]) => key.startsWith('fulmar_requests_refused_total'));
  expect(refused).toEqual([
    ['fulmar_requests_refused_total SendMessage TOO_MANY_REQUESTS', 2],
    ['fulmar_requests_refused_total AckMessage INVALID_RECEIPT_HANDLE', 1],
  ]);
});
