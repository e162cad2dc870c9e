// Another replica of the set over gRPC. Each stream has a connection of its own, so that each try to follow really
// knocks at the other's door and its failure says whether anybody is there.
import { LIMITS } from '@fulmar/core/limits.ts';
import { connectGrpc, type GrpcClient } from '@fulmar/runtime/grpc-client.ts';
import { internalClient } from '@fulmar/runtime/internal-tls.ts';
import type { MutualTls } from '@fulmar/runtime/mutual-tls.ts';
import { GRPC_STATUS, RpcFailure } from '@fulmar/runtime/rpc.ts';
import type { FollowCall, FollowListener, FollowReply, ReplicationPeer } from '../replication/messages.ts';
import { DESCRIBE, FOLLOW, MANIFEST, READ_FILE, READ_RECORD } from './replication.ts';
import {
  decodeContent,
  decodeDescription,
  decodeFollowReply,
  decodeManifest,
  encodeFileRange,
  encodeFollowRequest,
  encodeRecordRange,
  type ReplicaDescription,
} from './replication-codec.ts';

export interface ReplicationPeerOptions {
  /** Absent: plaintext. What it holds when a connection is made counts for that connection. */
  readonly tls?: MutualTls;
}

export interface DescribingPeer extends ReplicationPeer {
  /** Rejects when it cannot be asked. */
  describe(): Promise<ReplicaDescription>;
}

const ANSWER_MS = 10_000;
const NOTHING = Buffer.alloc(0);
const CLOSED = 'the connection to the replica was closed by this side';

/**
 * How the operating system says that nobody listens there, or that there is no such machine. A name that does not
 * resolve is not among them: it may as well be the name service that is gone.
 */
const NOBODY_THERE = /\b(ECONNREFUSED|EHOSTUNREACH|EHOSTDOWN)\b/;

/** `address` is `HOST:PORT`. */
export function connectReplicationPeer(address: string, options: ReplicationPeerOptions = {}): DescribingPeer {
  return new Peer(address, options.tls);
}

class Peer implements DescribingPeer {
  readonly #address: string;
  readonly #tls: MutualTls | undefined;
  readonly #follows = new Set<Follow>();
  /** For questions; made for the first one, and again after it has failed. */
  #questions: GrpcClient | undefined;
  #closed = false;

  constructor(address: string, tls: MutualTls | undefined) {
    this.#address = address;
    this.#tls = tls;
  }

  follow(listener: FollowListener): FollowCall {
    const follow = new Follow(listener, () => this.#follows.delete(follow));
    this.#follows.add(follow);
    try {
      if (this.#closed) throw new Error(CLOSED);
      follow.begin(this.#connect());
    } catch (thrown) {
      void Promise.resolve().then(() => follow.fail('broken', String(thrown)));
    }
    return follow;
  }

  async manifest() {
    return decodeManifest(await this.#ask(MANIFEST, NOTHING));
  }

  async readFile(name: string, offset: number, length: number): Promise<Buffer> {
    const content = decodeContent(await this.#ask(READ_FILE, encodeFileRange({ name, offset, length })));
    if (content.length > length) throw new Error(`${this.#address} has sent more of a file than it was asked for.`);
    return content;
  }

  async readRecord(position: number, length: number): Promise<Buffer | undefined> {
    const record = decodeContent(await this.#ask(READ_RECORD, encodeRecordRange({ position, length })));
    if (record.length === 0) return undefined;
    if (record.length !== length) throw new Error(`${this.#address} has sent another record than it was asked for.`);
    return record;
  }

  async describe(): Promise<ReplicaDescription> {
    return decodeDescription(await this.#ask(DESCRIBE, NOTHING));
  }

  close(): void {
    this.#closed = true;
    for (const follow of this.#follows) follow.cancel();
    this.#questions?.close();
    this.#questions = undefined;
  }

  async #ask(method: typeof MANIFEST | typeof READ_FILE | typeof READ_RECORD | typeof DESCRIBE, request: Buffer) {
    if (this.#closed) throw new Error(CLOSED);
    this.#questions ??= this.#connect();
    const client = this.#questions;
    try {
      return await client.unary(method, request, { timeoutMs: ANSWER_MS });
    } catch (thrown) {
      // The next question shall not wait until the library tries again.
      if (thrown instanceof RpcFailure && thrown.grpcStatus === GRPC_STATUS.UNAVAILABLE && this.#questions === client) {
        this.#questions = undefined;
        client.close();
      }
      throw thrown;
    }
  }

  #connect(): GrpcClient {
    return connectGrpc(this.#address, {
      receiveBytes: LIMITS.replicationMessageBytes,
      windowBytes: 2 * LIMITS.replicationMessageBytes,
      pingMs: 20_000,
      pingAnswerMs: 20_000,
      tls: internalClient(this.#tls, this.#address),
    });
  }
}

class Follow implements FollowCall {
  readonly #listener: FollowListener;
  readonly #onOver: () => void;
  #client: GrpcClient | undefined;
  #call: ReturnType<GrpcClient['duplex']> | undefined;
  #over = false;
  /** The other side has taken the call. */
  #taken = false;

  constructor(listener: FollowListener, onOver: () => void) {
    this.#listener = listener;
    this.#onOver = onOver;
  }

  begin(client: GrpcClient): void {
    this.#client = client;
    this.#call = client.duplex(FOLLOW, {
      onHeaders: () => {
        this.#taken = true;
      },
      onMessage: (bytes: Buffer) => this.#received(bytes),
      onEnd: (failure) => {
        if (failure === undefined) this.fail('broken', 'The other replica has ended the stream.');
        else this.fail(!this.#taken && isNobodyThere(failure) ? 'unreachable' : 'broken', failure.message);
      },
    });
  }

  send(request: Parameters<FollowCall['send']>[0]): void {
    if (!this.#over) this.#call?.write(encodeFollowRequest(request));
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver();
    this.#call?.cancel();
    this.#client?.close();
  }

  fail(reason: 'unreachable' | 'broken', text: string): void {
    if (this.#over) return;
    this.cancel();
    this.#listener.onEnd(reason, text);
  }

  #received(bytes: Buffer): void {
    if (this.#over) return;
    let reply: FollowReply;
    try {
      reply = decodeFollowReply(bytes);
    } catch (thrown) {
      this.fail('broken', `What the other replica says cannot be read: ${(thrown as Error).message}.`);
      return;
    }
    this.#listener.onReply(reply);
  }
}

function isNobodyThere(failure: RpcFailure): boolean {
  return failure.grpcStatus === GRPC_STATUS.UNAVAILABLE && NOBODY_THERE.test(failure.message);
}
