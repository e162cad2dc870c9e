import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { expect, test } from '@jest/globals';
import { makeSelfSigned } from './self-signed.ts';

const FROM_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const UNTIL_MS = Date.UTC(2036, 11, 30, 23, 59, 59);

test('the certificate is what it says: its own signature, times, names, and no authority', () => {
  const { key, cert } = makeSelfSigned('fulmar', FROM_MS, UNTIL_MS);
  const read = new X509Certificate(cert);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect([read.subject, read.issuer]).toEqual(['CN=fulmar', 'CN=fulmar']);
  expect([read.validFromDate.getTime(), read.validToDate.getTime()]).toEqual([FROM_MS, UNTIL_MS]);
  expect(read.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1');
  expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(read.ca).toBe(false);
  expect(read.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
});

test('a time from the year 2050 on is written as that year', () => {
  const untilMs = Date.UTC(2050, 0, 1);
  const read = new X509Certificate(makeSelfSigned('fulmar', FROM_MS, untilMs).cert);
  expect(read.validToDate.getTime()).toBe(untilMs);
});

test('no two of them have a number in common', () => {
  const numbers = Array.from({ length: 50 }, () => {
    return new X509Certificate(makeSelfSigned('fulmar', FROM_MS, UNTIL_MS).cert).serialNumber;
  });
  expect(new Set(numbers).size).toBe(50);
  for (const number of numbers) expect(number).toMatch(/^[4-7][0-9A-F]{31}$/);
});

test('a client that trusts it, and checks the host name, connects', async () => {
  const { key, cert } = makeSelfSigned('fulmar', Date.now() - 1_000, Date.now() + 60_000);
  const server = createServer({ key, cert }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address!.port : 0;
  for (const servername of ['localhost', '']) {
    const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca: cert, ...(servername !== '' && { servername }) });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    socket.destroy();
  }
  server.close();
});
