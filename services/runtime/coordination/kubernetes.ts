// Coordination through the Kubernetes API: one Lease for each set. A write is a PUT that names the version it replaces,
// reads are answered by a quorum of the cluster's own store, and a watch only says when to look.
import type { Coordination, Observed, SetRecord } from '@fulmar/core/coordination.ts';
import { CALL_TIMEOUT_MS, pause, withDeadline } from './deadline.ts';
import { type ApiReply, KubernetesApi } from './kubernetes-api.ts';
import { leaseName, leaseOf, observedIn, resourceVersionIn } from './lease.ts';
import { Newest } from './newest.ts';

export interface KubernetesOptions {
  /** `https://HOST:PORT` of the API server. */
  readonly server: string;
  /** Directory with `token`, `ca.crt` and `namespace`. */
  readonly credentials: string;
  /** Empty for the one of this pod. */
  readonly namespace: string;
  readonly cluster: string;
  readonly set: string;
  /** Shown in the Lease. */
  readonly leaseMs: number;
  readonly timeoutMs?: number;
  /** A watch that tells nothing for so long is begun again: its connection may be dead. */
  readonly silentMs?: number;
}

const SILENT_MS = 10_000;
const AGAIN_MS = 200;
/** Where there is no Lease yet, there is nothing to watch. */
const NONE_YET_MS = 500;

const OK = 200;
const CREATED = 201;
const NOT_FOUND = 404;
const CONFLICT = 409;

export function openKubernetes(options: KubernetesOptions): Coordination {
  return new KubernetesCoordination(options);
}

class KubernetesCoordination implements Coordination {
  private readonly options: KubernetesOptions;
  private readonly api: KubernetesApi;
  private readonly name: string;
  private readonly timeoutMs: number;
  private readonly newest = new Newest();
  private readonly closed = new AbortController();

  constructor(options: KubernetesOptions) {
    this.options = options;
    this.name = leaseName(options.cluster, options.set);
    this.api = new KubernetesApi(options);
    this.timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
  }

  async read(): Promise<Observed | undefined> {
    const { status, body } = await this.call('GET', `${await this.leases()}/${this.name}`, undefined);
    if (status === OK) return observedIn(body);
    if (status === NOT_FOUND) return undefined;
    throw this.refusal('reading', status, body);
  }

  async write(record: SetRecord, expected: string | undefined): Promise<string | undefined> {
    const leases = await this.leases();
    const lease = leaseOf(record, {
      name: this.name,
      namespace: await this.namespace(),
      resourceVersion: expected,
      durationSeconds: Math.max(1, Math.ceil(this.options.leaseMs / 1_000)),
      nowMs: Date.now(),
    });
    const { status, body } =
      expected === undefined
        ? await this.call('POST', leases, lease)
        : await this.call('PUT', `${leases}/${this.name}`, lease);
    if (status === OK || status === CREATED) return resourceVersionIn(body);
    if (status === CONFLICT) return undefined;
    // A Lease that is gone has not the expected version either; without the namespace nothing is there at all.
    if (status === NOT_FOUND && expected !== undefined) return undefined;
    throw this.refusal('writing', status, body);
  }

  watch(listener: (observed: Observed) => void): void {
    this.newest.listen(listener);
    void this.follow();
  }

  async close(): Promise<void> {
    this.closed.abort();
    this.api.close();
  }

  private async namespace(): Promise<string> {
    return this.options.namespace === '' ? await this.api.namespace() : this.options.namespace;
  }

  private async leases(): Promise<string> {
    return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(await this.namespace())}/leases`;
  }

  private call(method: 'GET' | 'POST' | 'PUT', path: string, body: object | undefined): Promise<ApiReply> {
    const what = `The Kubernetes API at ${this.options.server}`;
    return withDeadline(what, this.timeoutMs, this.api.call(method, path, body, this.timeoutMs));
  }

  private refusal(doing: string, status: number, body: unknown): Error {
    const told = typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : 'nothing else';
    const advice =
      status === 401 || status === 403
        ? ' Give the service account of this pod get, create, update, list and watch on leases.'
        : '';
    return new Error(`Kubernetes answered ${status} to ${doing} the Lease ${this.name}: ${told}.${advice}`);
  }

  /** Reads, tells, and watches from there; from the beginning again when the watch has ended for any reason. */
  private async follow(): Promise<void> {
    const { signal } = this.closed;
    while (!signal.aborted) {
      let waitMs = AGAIN_MS;
      try {
        const observed = await this.read();
        if (signal.aborted) return;
        this.newest.tell(observed);
        if (observed === undefined) waitMs = NONE_YET_MS;
        else await this.watchFrom(observed.version);
      } catch {
        // The API is away, or the Lease is not for this program: whoever reads it is told why.
      }
      await pause(waitMs, signal);
    }
  }

  private async watchFrom(resourceVersion: string): Promise<void> {
    const query = new URLSearchParams({
      watch: '1',
      fieldSelector: `metadata.name=${this.name}`,
      resourceVersion,
      allowWatchBookmarks: 'true',
    });
    const { signal } = this.closed;
    const onLine = (line: unknown): boolean => {
      const event = eventIn(line);
      if (signal.aborted) return false;
      if (event.type === 'ADDED' || event.type === 'MODIFIED') this.newest.tell(observedIn(event.object));
      // Deleted, or too old to go on from (410): what is there now is read again.
      else if (event.type !== 'BOOKMARK') return false;
      return true;
    };
    const path = `${await this.leases()}?${query}`;
    await this.api.stream(path, onLine, this.options.silentMs ?? SILENT_MS, signal);
  }
}

function eventIn(line: unknown): { readonly type: unknown; readonly object: unknown } {
  if (typeof line !== 'object' || line === null || !('type' in line) || !('object' in line)) {
    return { type: undefined, object: undefined };
  }
  return { type: line.type, object: line.object };
}
