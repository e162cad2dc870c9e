// A cluster of separate processes as in production, whose HTTP ports are known so that they can be scraped: a
// NameServer, one broker set of three replicas, a Proxy. `endAll` of the integration tests ends its processes.
import { createServer } from 'node:net';
import { join } from 'node:path';
import { start } from '../integration/commands.ts';
import { until } from '../integration/support/waiting.ts';

export interface WatchedCluster {
  /** host:port of the Proxy. */
  readonly proxy: string;
  /** host:port of the HTTP ports, by service. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
  /** Ends the master of the set as a crash would. Returns what starts it again. */
  killMaster(): Promise<() => void>;
}

const REPLICAS = 3;
const READY_MS = 120_000;

export async function startWatchedCluster(directory: string): Promise<WatchedCluster> {
  const [nameserver, nameserverHttp, proxy, proxyHttp, ...ports] = await freeAddresses(4 + 3 * REPLICAS);
  launch('nameserver', { listen: nameserver!, http: nameserverHttp! });
  const common = { nameservers: nameserver!, 'log-level': 'error' };
  const brokers = Array.from({ length: REPLICAS }, (_, number) => {
    const [listen, replication, http] = ports.slice(3 * number) as [string, string, string];
    const replica = `replica-${number}`;
    const flags = {
      ...common,
      ...{ listen, advertise: listen, 'replication-listen': replication, 'replication-advertise': replication, http },
      replica,
      'data-dir': join(directory, replica),
      coordination: 'file',
      'coordination-dir': join(directory, 'coordination'),
    };
    return { http, flags, broker: launch('broker', flags) };
  });
  launch('proxy', { ...common, listen: proxy!, http: proxyHttp!, advertise: proxy! });
  const targets = { nameserver: [nameserverHttp!], broker: brokers.map(({ http }) => http), proxy: [proxyHttp!] };
  for (const page of Object.values(targets).flat()) await until(`${page} is ready`, () => isReady(page), READY_MS);
  return {
    proxy: proxy!,
    targets,
    async killMaster() {
      for (const { http, flags, broker } of brokers) {
        if (!(await leads(http))) continue;
        await broker.end('SIGKILL');
        return () => void launch('broker', flags);
      }
      throw new Error('No broker leads the set at the moment.');
    },
  };
}

function launch(service: string, flags: Readonly<Record<string, string>>) {
  return start('services/cli/main.ts', [
    service,
    ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
  ]);
}

async function isReady(address: string): Promise<boolean> {
  const response = await fetch(`http://${address}/readyz`).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.status === 200;
}

async function leads(address: string): Promise<boolean> {
  const response = await fetch(`http://${address}/metrics`).catch(() => undefined);
  return /^fulmar_replication_master\{.*\} 1$/m.test((await response?.text()) ?? '');
}

/** All are held until the last is found, so that no two are the same. */
export async function freeAddresses(count: number): Promise<readonly string[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const addresses = await Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      return typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '';
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}
