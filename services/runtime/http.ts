// The small HTTP server of every process, for operators and Kubernetes: `/metrics` for Prometheus, `/startupz` (its
// start is over), `/readyz` (it should get requests), `/livez` and `/healthz` (it answers at all, whatever becomes of
// disk and peers). Nothing else, and no request bodies. It listens before anything else of the process does.
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Probes } from './probes.ts';

// An import of `node:http` asks for each of its exports, and one of them loads Node's WebSocket client and what that is
// made of: 22 ms and 12 MiB.
const { createServer } = process.getBuiltinModule('node:http');

export interface HttpServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  readonly probes: Pick<Probes, 'starting' | 'unready'>;
}

export interface HttpServer {
  readonly port: number;
  stop(): Promise<void>;
}

const REQUEST_MS = 10_000;
const CONNECTIONS_MAX = 256;

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const pages: Readonly<Record<string, (response: ServerResponse) => Promise<void>>> = {
    '/metrics': async (response) => {
      const text = await options.metrics.text();
      response.writeHead(200, { 'content-type': options.metrics.contentType }).end(text);
    },
    '/startupz': async (response) => answer(response, options.probes.starting()),
    '/readyz': async (response) => answer(response, options.probes.unready()),
    '/livez': async (response) => answer(response, undefined),
    '/healthz': async (response) => answer(response, undefined),
  };
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]!;
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405).end('Use GET.\n');
    else if (page === undefined) response.writeHead(404).end(`There are ${Object.keys(pages).join(', ')}.\n`);
    else page(response).catch(() => response.writeHead(500).end('The page could not be made.\n'));
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, problem: string | undefined): void {
  response
    .writeHead(problem === undefined ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' })
    .end(`${problem ?? 'ok'}\n`);
}
