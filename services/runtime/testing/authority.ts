// An authority of certificates for tests, and the three files that a port with TLS on both sides is given.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import type { KeyPair } from '../certificates.ts';
import type { MutualTlsFiles } from '../mutual-tls.ts';

const EC = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

/** Names are DNS names, or IPv4 addresses. */
export interface Authority {
  /** PEM. */
  readonly cert: string;
  sign(names: readonly string[]): Promise<KeyPair>;
  /** Signs a new certificate and writes or replaces `cert.pem`, `key.pem` and `ca.pem` in the directory. */
  writeFiles(directory: string, names: readonly string[]): Promise<MutualTlsFiles>;
}

export async function makeAuthority(name: string): Promise<Authority> {
  const own = await generate([{ name: 'commonName', value: name }], {
    ...EC,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const ca = { key: own.private, cert: own.cert };
  const sign = async (names: readonly string[]) => {
    const made = await generate([{ name: 'commonName', value: 'replica' }], {
      ...EC,
      ca,
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: names.map((value) => (/^[\d.]+$/.test(value) ? { type: 7, ip: value } : { type: 2, value })),
        },
      ],
    });
    return { key: made.private, cert: made.cert };
  };
  return {
    cert: ca.cert,
    sign,
    writeFiles: async (directory, names) => {
      const files = {
        cert: join(directory, 'cert.pem'),
        key: join(directory, 'key.pem'),
        ca: join(directory, 'ca.pem'),
      };
      const pair = await sign(names);
      await mkdir(directory, { recursive: true });
      await writeFile(files.cert, pair.cert);
      await writeFile(files.key, pair.key);
      await writeFile(files.ca, ca.cert);
      return files;
    },
  };
}
