// A cluster of three processes whose proxy has two workers, and what its metrics say of these.
import { temporaryDirectory } from '../commands.ts';
import { administer } from './administration.ts';
import { type ServiceProcess, startService } from './services.ts';
import { until } from './waiting.ts';

export const WORKERS = 2;
export const TOPIC = 'letters';

export interface ProxyOfWorkers {
  readonly proxy: ServiceProcess;
  /** To start another one of the same cluster. */
  readonly flags: readonly string[];
}

/** With a topic, and a group `readers`. */
export async function startProxyOfWorkers(): Promise<ProxyOfWorkers> {
  const nameServer = await startService('nameserver', []);
  const nameservers = ['--nameservers', nameServer.address];
  const broker = await startService('broker', ['--data-dir', temporaryDirectory(), ...nameservers]);
  const flags = [...nameservers, '--workers', String(WORKERS)];
  const proxy = await startService('proxy', flags);
  for (const service of [nameServer, broker, proxy]) await service.untilReady();
  await until('all workers are open', async () => (await openWorkers(proxy)) === WORKERS);
  await administer({ proxy: proxy.address }, async (administration) => {
    await administration.createTopic(TOPIC);
    await administration.createGroup('readers', { maxAttempts: 1_000 });
  });
  return { proxy, flags };
}

/** The value of each series of a metric, by the rest of its line. */
export async function seriesOf(proxy: ServiceProcess, name: string): Promise<ReadonlyMap<string, number>> {
  const text = (await proxy.probe('/metrics'))?.text ?? '';
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

export function sum(series: ReadonlyMap<string, number>): number {
  return [...series.values()].reduce((total, value) => total + value, 0);
}

export async function openWorkers(proxy: ServiceProcess): Promise<number> {
  const series = await seriesOf(proxy, 'fulmar_proxy_workers');
  return [...series].find(([labels]) => labels.includes('state="open"'))?.[1] ?? 0;
}
