// The port on which a broker serves the other replicas of its set: which transport, how much may be under way, and TLS
// on which both sides show a certificate of the same authority, or none at all.
import { splitAddress } from '@fulmar/core/addresses.ts';
import { FULL_BOUNDS } from '@fulmar/core/memory-bounds.ts';
import type { Logger, Observer } from '@fulmar/core/ports.ts';
import { type GrpcServer, startGrpcServer, type TransportLimits } from '@fulmar/runtime/grpc-server.ts';
import { internalPort, keepRenewed } from '@fulmar/runtime/internal-tls.ts';
import type { MutualTls } from '@fulmar/runtime/mutual-tls.ts';
import { type DescribedService, replicationBinding } from './replication.ts';

const MIB = 1024 * 1024;

/** Replicas ask little and are answered much. */
const REPLICATION_TRANSPORT: Partial<TransportLimits> = {
  receiveBytes: 64 * 1024,
  connections: 256,
  streamsPerConnection: 64,
  streamWindowBytes: MIB,
  connectionWindowBytes: 2 * MIB,
  // Replicas notice by themselves, and sooner, when the other one is silent.
  pingMs: 20_000,
  pingAnswerMs: 20_000,
};

export interface ReplicationServerOptions {
  /** `HOST:PORT`; port 0 for any free one. */
  readonly listen: string;
  readonly replica: DescribedService;
  /** Absent: plaintext. */
  readonly tls?: MutualTls;
  /** Bytes of answers that may wait for the other replicas to read them. */
  readonly responseBytes?: number;
  readonly logger: Logger;
  readonly observer: Observer;
}

export async function startReplicationServer(options: ReplicationServerOptions): Promise<GrpcServer> {
  const { listen, replica, tls, responseBytes = FULL_BOUNDS.replicationResponseBytes, logger, observer } = options;
  const server = await startGrpcServer({
    ...splitAddress(listen),
    ...internalPort(tls),
    services: [replicationBinding(replica)],
    logger,
    observer,
    limits: { ...REPLICATION_TRANSPORT, responseBytes },
  });
  keepRenewed(server, tls);
  return server;
}
