// The part of the Kubernetes API server that Leases need, as that server behaves: HTTPS with a bearer token, one number
// that counts all writes, 409 for a stale or repeated write, watches with bookmarks, 410 for what is too old, and the
// ways in which it refuses to answer.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { selfSignedPair } from '@fulmar/runtime/certificates.ts';

interface Lease {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
}

interface Watcher {
  readonly name: string;
  send(type: string, object: object): void;
  end(): void;
}

export interface FakeLeaseApi {
  readonly port: number;
  readonly authority: string;
  /** The only token that is taken. */
  token: string;
  /** Answers this status to everything. */
  failWith: number | undefined;
  /** A watch from an older version than this is answered with 410. */
  oldestVersion: number;
  readonly watchesBegun: () => number;
  lease(namespace: string, name: string): unknown;
  /** Sends a bookmark to every watch. */
  bookmark(): void;
  endWatches(): void;
  remove(namespace: string, name: string): void;
  close(): Promise<void>;
}

const PATH = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/]+)\/leases(?:\/([^/?]+))?$/;

export async function startFakeLeaseApi(): Promise<FakeLeaseApi> {
  const pair = await selfSignedPair();
  const leases = new Map<string, Lease>();
  const history: { readonly type: string; readonly key: string; readonly lease: Lease }[] = [];
  const watchers = new Set<Watcher & { readonly key: string }>();
  let revision = 1_000;
  let watchesBegun = 0;

  const status = (response: ServerResponse, code: number, reason: string) => {
    const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: `made up: ${reason}`, reason, code };
    answer(response, code, body);
  };
  const change = (type: string, key: string, lease: Lease): Lease => {
    const stored = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++revision) } };
    if (type === 'DELETED') leases.delete(key);
    else leases.set(key, stored);
    history.push({ type, key, lease: stored });
    for (const watcher of watchers) if (watcher.key === key) watcher.send(type, stored);
    return stored;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'https://fake');
    const body = await bodyOf(request);
    const found = PATH.exec(url.pathname);
    if (api.failWith !== undefined) return status(response, api.failWith, 'Injected');
    if (request.headers.authorization !== `Bearer ${api.token}`) return status(response, 401, 'Unauthorized');
    if (found === null) return status(response, 404, 'NotFound');
    const namespace = found[1]!;
    if (url.searchParams.has('watch')) return watch(namespace, url.searchParams, response);
    const sent = body === '' ? undefined : (JSON.parse(body) as Lease);
    const name = found[2] ?? sent?.metadata.name ?? '';
    const key = `${namespace}/${name}`;
    const stored = leases.get(key);
    switch (request.method) {
      case 'GET':
        return stored === undefined ? status(response, 404, 'NotFound') : answer(response, 200, stored);
      case 'POST':
        if (stored !== undefined) return status(response, 409, 'AlreadyExists');
        if (sent?.metadata.resourceVersion !== undefined) return status(response, 400, 'BadRequest');
        return answer(response, 201, change('ADDED', key, sent!));
      case 'PUT':
        if (stored === undefined) return status(response, 404, 'NotFound');
        if (sent?.metadata.name !== name) return status(response, 400, 'BadRequest');
        if (sent.metadata.resourceVersion !== stored.metadata.resourceVersion) {
          return status(response, 409, 'Conflict');
        }
        return answer(response, 200, change('MODIFIED', key, sent));
      default:
        return status(response, 405, 'MethodNotAllowed');
    }
  };

  const watch = (namespace: string, query: URLSearchParams, response: ServerResponse) => {
    watchesBegun++;
    const name = /^metadata\.name=(.+)$/.exec(query.get('fieldSelector') ?? '')?.[1] ?? '';
    const from = Number(query.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' });
    const send = (type: string, object: object) => void response.write(`${JSON.stringify({ type, object })}\n`);
    if (from < api.oldestVersion) {
      send('ERROR', { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 });
      response.end();
      return;
    }
    const key = `${namespace}/${name}`;
    for (const event of history) {
      if (event.key === key && Number(event.lease.metadata.resourceVersion) > from) send(event.type, event.lease);
    }
    const watcher = { key, name, send, end: () => void response.end() };
    watchers.add(watcher);
    response.on('close', () => watchers.delete(watcher));
  };

  const server: Server = createServer({ key: pair.key, cert: pair.cert }, (request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const api: FakeLeaseApi = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    authority: pair.cert,
    token: 'first-token',
    failWith: undefined,
    oldestVersion: 0,
    watchesBegun: () => watchesBegun,
    lease: (namespace, name) => leases.get(`${namespace}/${name}`),
    bookmark() {
      const object = { kind: 'Lease', apiVersion: 'coordination.k8s.io/v1' };
      for (const watcher of watchers) {
        watcher.send('BOOKMARK', { ...object, metadata: { resourceVersion: String(revision) } });
      }
    },
    endWatches: () => {
      for (const watcher of watchers) watcher.end();
    },
    remove(namespace, name) {
      const key = `${namespace}/${name}`;
      const lease = leases.get(key);
      if (lease !== undefined) change('DELETED', key, lease);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return api;
}

function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
