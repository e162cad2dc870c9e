// TLS between the services of a cluster: one set of three files, or plaintext. With it every port inside the cluster
// takes only peers that show a certificate of the authority, and every client inside shows its own and checks the
// server's. Replaced files count for connections made from then on.
import { splitAddress } from '@fulmar/core/addresses.ts';
import type { SettingTable } from '@fulmar/core/config.ts';
import type { Logger, Timers } from '@fulmar/core/ports.ts';
import type { TrustedServers } from './grpc-client.ts';
import type { GrpcServer, GrpcServerOptions } from './grpc-server.ts';
import { MutualTls } from './mutual-tls.ts';

/** The same rows for every service. */
export const INTERNAL_TLS_SETTINGS = {
  internalTlsCert: {
    type: 'text',
    default: '',
    text: 'PEM file with the certificate that services show each other; with key and authority, or none of them.',
  },
  internalTlsKey: { type: 'text', default: '', text: 'PEM file with the key of that certificate.' },
  internalTlsCa: {
    type: 'text',
    default: '',
    text: 'PEM file with the authority that signs them all; each is valid for internal.fulmar or for its host.',
  },
} as const satisfies SettingTable;

export interface InternalTlsSettings {
  readonly internalTlsCert: string;
  readonly internalTlsKey: string;
  readonly internalTlsCa: string;
}

/** A certificate of the authority for this name may stand for any service, whatever its address is. */
const SERVER_NAME = 'internal.fulmar';

/** Undefined for plaintext. Rejects when the files cannot be used, or when some are missing. */
export async function openInternalTls(
  settings: InternalTlsSettings,
  timers: Timers,
  logger: Logger,
): Promise<MutualTls | undefined> {
  const files = { cert: settings.internalTlsCert, key: settings.internalTlsKey, ca: settings.internalTlsCa };
  const given = Object.values(files).filter((file) => file !== '').length;
  if (given === 0) return undefined;
  if (given === 3) return MutualTls.open(files, timers, logger);
  throw new Error(
    'TLS between services needs --internal-tls-cert, --internal-tls-key and --internal-tls-ca. ' +
      'Give all three, or none for plaintext.',
  );
}

/** How a port inside the cluster is opened. */
export function internalPort(tls: MutualTls | undefined): Pick<GrpcServerOptions, 'tls' | 'plaintext'> {
  return tls === undefined ? { plaintext: true } : { tls: tls.pair, plaintext: false };
}

/** From now on the port shows what the files hold. */
export function keepRenewed(server: GrpcServer, tls: MutualTls | undefined): void {
  tls?.onChange((pair) => server.setKeyPair(pair));
}

/** For a client of the service at `address`; what the files hold now counts for its connections. */
export function internalClient(tls: MutualTls | undefined, address: string): 'off' | TrustedServers {
  if (tls === undefined) return 'off';
  const { pair } = tls;
  return { trusted: pair.clientCa, own: pair, serverNames: [SERVER_NAME, splitAddress(address).host] };
}
