// The replication service of a broker on gRPC: each follower's stream becomes a port for the replica, each question a
// call. Bytes that are no message of replication.proto end their call with INVALID_ARGUMENT and reach nobody.
import { DiskError } from '@fulmar/core/ports.ts';
import { ProtobufError } from '@fulmar/core/protobuf.ts';
import {
  type Codec,
  type DuplexPort,
  duplex,
  GRPC_STATUS,
  RAW,
  RpcFailure,
  type ServiceBinding,
  unary,
} from '@fulmar/runtime/rpc.ts';
import type { FollowerPort, ReplicationService } from '../replication/messages.ts';
import {
  decodeFileRange,
  decodeFollowRequest,
  decodeRecordRange,
  encodeContent,
  encodeDescription,
  encodeFollowReply,
  encodeManifest,
  type ReplicaDescription,
} from './replication-codec.ts';

const service = 'fulmar.v1.Replication';

/** As clients call them. */
export const FOLLOW = { service, name: 'Follow', codec: RAW } as const;
export const MANIFEST = { service, name: 'Manifest', codec: RAW } as const;
export const READ_FILE = { service, name: 'ReadFile', codec: RAW } as const;
export const READ_RECORD = { service, name: 'ReadRecord', codec: RAW } as const;
export const DESCRIBE = { service, name: 'Describe', codec: RAW } as const;

export interface DescribedService extends ReplicationService {
  describe(): ReplicaDescription;
}

export function replicationBinding(replica: DescribedService): ServiceBinding {
  return {
    service,
    methods: {
      [FOLLOW.name]: duplex<Buffer, Buffer>((_call, port) => replica.follow(followerPort(port)), RAW),
      [MANIFEST.name]: answer(async () => encodeManifest(await replica.manifest())),
      [READ_FILE.name]: answer(async (bytes) => {
        const { name, offset, length } = decodeFileRange(bytes);
        return encodeContent(await replica.readFile(name, offset, length));
      }),
      [READ_RECORD.name]: answer(async (bytes) => {
        const { position, length } = decodeRecordRange(bytes);
        return encodeContent(await replica.readRecord(position, length));
      }),
      [DESCRIBE.name]: answer(async () => encodeDescription(replica.describe())),
    },
  };
}

function answer(handle: (request: Buffer) => Promise<Buffer>) {
  const codec: Codec<Buffer, Buffer> = RAW;
  return unary<Buffer, Buffer>(async (_call, request) => {
    try {
      return await handle(request);
    } catch (thrown) {
      throw failureOf(thrown);
    }
  }, codec);
}

function failureOf(thrown: unknown): unknown {
  if (thrown instanceof ProtobufError) return new RpcFailure(GRPC_STATUS.INVALID_ARGUMENT, refusalOf(thrown));
  if (thrown instanceof DiskError && thrown.code === 'ENOENT') {
    return new RpcFailure(GRPC_STATUS.NOT_FOUND, 'Retention has removed the file. Ask for another manifest.');
  }
  return thrown;
}

function refusalOf(error: ProtobufError): string {
  return `The message cannot be read: ${error.message}. Update the replicas to the same version.`;
}

function followerPort(port: DuplexPort<Buffer, Buffer>): FollowerPort {
  let waitingBytes = 0;
  let onDrain = () => {};
  let onClose = () => {};
  let closed = false;
  let failed = false;
  port.sendHeaders();
  port.onEnd(() => port.end());
  port.onClose(() => {
    closed = true;
    waitingBytes = 0;
    onClose();
  });
  return {
    onRequest: (listener) =>
      port.onMessage((bytes) => {
        if (failed) return;
        let request: ReturnType<typeof decodeFollowRequest>;
        try {
          request = decodeFollowRequest(bytes);
        } catch (thrown) {
          failed = true;
          port.fail(GRPC_STATUS.INVALID_ARGUMENT, refusalOf(thrown as ProtobufError));
          return;
        }
        listener(request);
      }),
    onClose: (listener) => {
      onClose = listener;
      if (closed) listener();
    },
    send: (reply) => {
      if (closed || failed) return;
      const bytes = encodeFollowReply(reply);
      waitingBytes += bytes.length;
      port.write(bytes, () => {
        if (closed) return;
        waitingBytes -= bytes.length;
        if (waitingBytes === 0) onDrain();
      });
    },
    waitingBytes: () => waitingBytes,
    onDrain: (listener) => {
      onDrain = listener;
    },
    end: () => port.end(),
  };
}
