// Coordination through etcd: one key for each set, changed by transactions that compare its revision. Every answer is
// linearizable. Calls go to one endpoint until it fails; a read then tries the others at once, a write is rejected,
// because the endpoint may have carried it out.
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { decodeSetRecord, encodeSetRecord } from '@fulmar/core/set-record.ts';
import { connectGrpc, type DuplexCall, type GrpcClient, type GrpcClientOptions, type Method } from '../grpc-client.ts';
import { CALL_TIMEOUT_MS, pause } from './deadline.ts';
import { Newest } from './newest.ts';

export interface EtcdOptions {
  /** `HOST:PORT` of each member. */
  readonly endpoints: readonly string[];
  readonly tls: NonNullable<GrpcClientOptions['tls']>;
  readonly cluster: string;
  readonly set: string;
  readonly timeoutMs?: number;
}

interface KeyValue {
  readonly modRevision: number;
  readonly value: Buffer;
}

interface RangeResponse {
  readonly header: { readonly revision: number } | null;
  readonly kvs: readonly KeyValue[];
}

interface TxnResponse {
  readonly header: { readonly revision: number } | null;
  readonly succeeded: boolean;
}

interface WatchResponse {
  readonly canceled: boolean;
  readonly events: readonly { readonly type: number; readonly kv: KeyValue | null }[];
}

const RANGE: Method<object, RangeResponse> = { service: 'etcdserverpb.KV', name: 'Range' };
const TXN: Method<object, TxnResponse> = { service: 'etcdserverpb.KV', name: 'Txn' };
const WATCH: Method<object, WatchResponse> = { service: 'etcdserverpb.Watch', name: 'Watch' };

const COMPARE = { CREATE: 1, MOD: 2 };
const EVENT_PUT = 0;
const AGAIN_MS = 200;
/** A member that has lost the others ends the watch instead of being silent. */
const NEEDS_LEADER = { hasleader: 'true' };

export function openEtcd(options: EtcdOptions): Coordination {
  if (options.endpoints.length === 0) throw new Error('There is no endpoint of etcd. Give at least one HOST:PORT.');
  return new EtcdCoordination(options);
}

export function etcdKey(cluster: string, set: string): string {
  return `/fulmar/${encodeURIComponent(cluster)}/sets/${encodeURIComponent(set)}`;
}

class EtcdCoordination implements Coordination {
  private readonly options: EtcdOptions;
  private readonly key: Buffer;
  private readonly timeoutMs: number;
  private readonly clients: readonly GrpcClient[];
  private readonly newest = new Newest();
  private readonly closed = new AbortController();
  /** Index of the endpoint in use. */
  private used = 0;
  private watchCall: DuplexCall<object> | undefined;

  constructor(options: EtcdOptions) {
    this.options = options;
    this.key = Buffer.from(etcdKey(options.cluster, options.set));
    this.timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    this.clients = options.endpoints.map((address) => connectGrpc(address, { tls: options.tls }));
  }

  async read(): Promise<Observed | undefined> {
    const { kvs } = await this.range();
    return kvs[0] && observe(kvs[0]);
  }

  async write(record: SetRecord, expected: string | undefined): Promise<string | undefined> {
    const { key } = this;
    const value = Buffer.from(encodeSetRecord(record));
    const compare =
      expected === undefined
        ? { target: COMPARE.CREATE, key, createRevision: 0 }
        : { target: COMPARE.MOD, key, modRevision: Number(expected) };
    const request = { compare: [compare], success: [{ requestPut: { key, value } }] };
    const { succeeded, header } = await this.call(TXN, request, this.timeoutMs);
    return succeeded ? String(header?.revision) : undefined;
  }

  watch(listener: (observed: Observed) => void): void {
    this.newest.listen(listener);
    void this.follow();
  }

  async close(): Promise<void> {
    this.closed.abort();
    this.watchCall?.cancel();
    for (const client of this.clients) client.close();
  }

  private async range(): Promise<RangeResponse> {
    for (let left = this.clients.length; ; left--) {
      // What an endpoint does not use of its share is not lost to the others: most failures come at once.
      const timeoutMs = Math.ceil(this.timeoutMs / this.clients.length);
      try {
        return await this.call(RANGE, { key: this.key }, timeoutMs);
      } catch (error) {
        if (left === 1 || this.closed.signal.aborted) throw error;
      }
    }
  }

  private async call<Response>(
    method: Method<object, Response>,
    request: object,
    timeoutMs: number,
  ): Promise<Response> {
    const at = this.used;
    try {
      return await this.clients[at]!.unary(method, request, { timeoutMs });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.leave(at);
      throw new Error(`etcd at ${this.options.endpoints[at]} has not answered: ${reason}`, { cause: error });
    }
  }

  /** The next endpoint is used from now on, for the watch as well. */
  private leave(at: number): void {
    if (at !== this.used || this.clients.length === 1) return;
    this.used = (at + 1) % this.clients.length;
    this.watchCall?.cancel();
  }

  /** Reads, tells, and watches from there; from the beginning again when the watch has ended for any reason. */
  private async follow(): Promise<void> {
    const { signal } = this.closed;
    while (!signal.aborted) {
      try {
        const { header, kvs } = await this.range();
        if (signal.aborted) return;
        this.newest.tell(kvs[0] && observe(kvs[0]));
        await this.watchFrom((header?.revision ?? 0) + 1);
      } catch {
        // The store is away, or its record is not for this program: whoever reads it is told why.
      }
      await pause(AGAIN_MS, signal);
    }
  }

  /** Resolves when the watch is over. */
  private watchFrom(revision: number): Promise<void> {
    const at = this.used;
    return new Promise((resolve) => {
      const call = this.clients[at]!.duplex<object, WatchResponse>(
        WATCH,
        {
          onMessage: ({ canceled, events }) => {
            for (const { type, kv } of events) if (type === EVENT_PUT && kv !== null) this.tell(kv, call);
            if (canceled) call.cancel();
          },
          onEnd: (failure) => {
            this.watchCall = undefined;
            if (failure !== undefined) this.leave(at);
            resolve();
          },
        },
        { headers: NEEDS_LEADER },
      );
      this.watchCall = call;
      call.write({ createRequest: { key: this.key, startRevision: revision } });
    });
  }

  private tell(kv: KeyValue, call: DuplexCall<object>): void {
    if (this.closed.signal.aborted) return;
    try {
      this.newest.tell(observe(kv));
    } catch {
      call.cancel();
    }
  }
}

function observe({ modRevision, value }: KeyValue): Observed {
  return { record: decodeSetRecord(value.toString()), version: String(modRevision) };
}
