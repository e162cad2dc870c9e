// Keys and certificates for TLS. Without any configured, a self-signed pair is made; official clients that use TLS by
// default accept it. With a directory the pair is kept there, so that a restart shows the same certificate.
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeSelfSigned } from './self-signed.ts';

export interface KeyPair {
  /** PEM. */
  readonly key: string;
  /** PEM, the server's own certificate first. */
  readonly cert: string;
  /** PEM of who must have signed the certificate of whoever connects; absent: nobody has to show one. */
  readonly clientCa?: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const VALID_MS = 3650 * DAY_MS;
const RENEW_BEFORE_MS = 30 * DAY_MS;

function makePair(): KeyPair {
  const nowMs = Date.now();
  return makeSelfSigned('fulmar', nowMs, nowMs + VALID_MS);
}

function isGood(pair: KeyPair): boolean {
  return Date.parse(new X509Certificate(pair.cert).validTo) > Date.now() + RENEW_BEFORE_MS;
}

/** A self-signed pair; kept in `directory` if one is given. */
export async function selfSignedPair(directory?: string): Promise<KeyPair> {
  if (directory === undefined) return makePair();
  const file = join(directory, 'self-signed.pem');
  try {
    const text = await readFile(file, 'utf8');
    const split = text.indexOf('-----BEGIN CERTIFICATE');
    const kept = { key: text.slice(0, split), cert: text.slice(split) };
    if (isGood(kept)) return kept;
  } catch {
    // None yet, or none that can be read: a new one is made.
  }
  const pair = makePair();
  await mkdir(directory, { recursive: true });
  // Key and certificate in one file, replaced at once: a crash never leaves halves of two pairs.
  await writeFile(`${file}.new`, `${pair.key.trim()}\n${pair.cert.trim()}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return pair;
}
