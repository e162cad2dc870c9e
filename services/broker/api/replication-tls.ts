// TLS between replicas, as the settings say it: three files or none.
import type { Logger, Timers } from '@fulmar/core/ports.ts';
import { MutualTls } from '@fulmar/runtime/mutual-tls.ts';

export interface ReplicationTlsSettings {
  readonly replicationTlsCert: string;
  readonly replicationTlsKey: string;
  readonly replicationTlsCa: string;
}

/** Undefined for plaintext. Rejects when the files cannot be used, or when some are missing. */
export async function openReplicationTls(
  settings: ReplicationTlsSettings,
  timers: Timers,
  logger: Logger,
): Promise<MutualTls | undefined> {
  const files = {
    cert: settings.replicationTlsCert,
    key: settings.replicationTlsKey,
    ca: settings.replicationTlsCa,
  };
  const given = Object.values(files).filter((file) => file !== '').length;
  if (given === 0) return undefined;
  if (given === 3) return MutualTls.open(files, timers, logger);
  throw new Error(
    'TLS between replicas needs --replication-tls-cert, --replication-tls-key and --replication-tls-ca. ' +
      'Give all three, or none for plaintext.',
  );
}
