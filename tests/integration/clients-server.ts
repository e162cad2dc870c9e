// Starts a Fulmar of its own for the client matrix; what it was told is in a temporary directory. With
// FULMAR_MATRIX_ENDPOINT (host:port) the matrix uses a server that is already there.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { run, start, temporaryDirectory } from './commands.ts';

/** Answers host:port of the Proxy; `flags` are for the cluster. `endAll` ends it. */
export async function startServer(flags: readonly string[] = []): Promise<string> {
  const given = process.env.FULMAR_MATRIX_ENDPOINT;
  if (given !== undefined) return given;
  const anyPort = ['--proxy-port', '--nameserver-port', '--broker-port', '--http-port'].flatMap((flag) => [flag, '0']);
  const server = start('scripts/run', [
    '--json',
    '--no-demo',
    '--data-dir',
    temporaryDirectory(),
    ...anyPort,
    ...flags,
  ]);
  const { proxy } = JSON.parse(await server.firstLine);
  void server.ended.then(({ status, stderr }) => {
    if (status !== 'SIGKILL') process.stderr.write(`the server ended with ${status}:\n${stderr.slice(-5000)}\n`);
  });
  return `${proxy.host}:${proxy.port}`;
}

/** Runs a command of the command line against that server, and answers what it prints. */
export async function fulmar(endpoint: string, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await run('scripts/fulmar', [...words, '--endpoint', endpoint]);
  if (status !== 0) throw new Error(`fulmar ${words.join(' ')} ended with ${status}:\n${stderr}${stdout}`);
  return stdout;
}

export interface Watched {
  readonly endpoint: string;
  /** How the connections began that have come so far. */
  readonly transports: ReadonlySet<'TLS' | 'plaintext'>;
  close(): void;
}

/** Stands before a server, passes on every byte, and looks at the first one: a TLS handshake begins with 22. */
export async function watch(endpoint: string): Promise<Watched> {
  const [host = '', port] = endpoint.split(':');
  const transports = new Set<'TLS' | 'plaintext'>();
  const listener = createServer((client) => {
    client.once('data', (first) => transports.add(first[0] === 22 ? 'TLS' : 'plaintext'));
    const server = connect(Number(port), host);
    client.pipe(server).pipe(client);
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP listener has an address with a port');
  return { endpoint: `127.0.0.1:${address.port}`, transports, close: () => listener.close() };
}
