// Makes a key and a certificate that vouches for itself, valid for `localhost` and 127.0.0.1. The few structures that
// it takes (RFC 5280, in DER) are put together here: the library that does this for any certificate took a seventh of
// the time of a start and 19 MiB of memory that never came back.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export interface SelfSigned {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

/** One element: tag, length, content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), body]);
}

function objectId(dotted: string): Buffer {
  const [first, second, ...others] = dotted.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const number of others) {
    const groups = [number & 0x7f];
    for (let rest = number >>> 7; rest > 0; rest >>>= 7) groups.unshift(0x80 | (rest & 0x7f));
    bytes.push(...groups);
  }
  return der(TAG.objectId, Buffer.from(bytes));
}

const COMMON_NAME = objectId('2.5.4.3');
const ECDSA_WITH_SHA256 = der(TAG.sequence, objectId('1.2.840.10045.4.3.2'));
const SERVER_AUTHENTICATION = objectId('1.3.6.1.5.5.7.3.1');
const CRITICAL = der(TAG.boolean, Buffer.from([0xff]));
const VERSION_3 = der(TAG.version, der(TAG.integer, Buffer.from([2])));
/** Seven unused bits, and the first of the uses. */
const DIGITAL_SIGNATURE = der(TAG.bitString, Buffer.from([7, 0x80]));

const FIRST_YEAR_OF_GENERALIZED_TIME = 2050;

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+|[-:T]/g, '');
  const isLong = new Date(ms).getUTCFullYear() >= FIRST_YEAR_OF_GENERALIZED_TIME;
  return isLong ? der(TAG.generalizedTime, Buffer.from(digits)) : der(TAG.utcTime, Buffer.from(digits.slice(2)));
}

function nameOf(commonName: string): Buffer {
  const attribute = der(TAG.sequence, COMMON_NAME, der(TAG.utf8String, Buffer.from(commonName)));
  return der(TAG.sequence, der(TAG.set, attribute));
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  const critical = isCritical ? [CRITICAL] : [];
  return der(TAG.sequence, objectId(id), ...critical, der(TAG.octetString, value));
}

/** Positive, and of one length. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return der(TAG.integer, bytes);
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

export function makeSelfSigned(commonName: string, fromMs: number, untilMs: number): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = nameOf(commonName);
  const names = [der(TAG.dnsName, Buffer.from('localhost')), der(TAG.ipAddress, Buffer.from([127, 0, 0, 1]))];
  const extensions = der(
    TAG.sequence,
    extension('2.5.29.19', true, der(TAG.sequence)),
    extension('2.5.29.15', true, DIGITAL_SIGNATURE),
    extension('2.5.29.37', false, der(TAG.sequence, SERVER_AUTHENTICATION)),
    extension('2.5.29.17', false, der(TAG.sequence, ...names)),
  );
  const content = der(
    TAG.sequence,
    VERSION_3,
    serialNumber(),
    ECDSA_WITH_SHA256,
    name,
    der(TAG.sequence, time(fromMs), time(untilMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(TAG.extensions, extensions),
  );
  const signature = der(TAG.bitString, Buffer.from([0]), sign('sha256', content, privateKey));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem('CERTIFICATE', der(TAG.sequence, content, ECDSA_WITH_SHA256, signature)),
  };
}
