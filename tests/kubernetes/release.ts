// The chart as it is installed for a run: installed, upgraded, looked at, and waited for until all of it is in order.
import { join } from 'node:path';
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import { nowMs, pause, ROOT, until } from '../chaos/machine.ts';
import { accidentsOf, isReady, isRolledOut, Kubectl, type Pod, type Workload } from './kubectl.ts';

export interface ReleaseOptions {
  readonly name: string;
  readonly namespace: string;
  /** Files of values, the later ones laid over the earlier ones. */
  readonly files: readonly string[];
  /** Values over those of the files, as `--set` takes them. */
  readonly values: Readonly<Record<string, string>>;
}

interface Broker {
  readonly set: string;
  readonly replica: string;
  readonly role: string;
  readonly inSync: boolean;
}

export const CHART = join(ROOT, 'charts/fulmar');

const LOOK_EVERY_MS = 500;
const ROLLOUT = '300s';
const RECOVERY_MS = 240_000;
const MASTER_MS = 60_000;
const ADMIN_MS = 5_000;
const LOG_LINES = '25';
const HTTP_PORTS: Readonly<Record<string, number>> = { nameserver: 8_083, broker: 8_082, proxy: 8_080 };

export class Release {
  readonly kube: Kubectl;
  readonly name: string;
  private readonly options: ReleaseOptions;
  private values: Readonly<Record<string, string>>;
  private address = '';

  constructor(options: ReleaseOptions) {
    this.options = options;
    this.name = options.name;
    this.values = options.values;
    this.kube = new Kubectl(options.namespace);
  }

  get clusterName(): string {
    return `${this.name}-fulmar`;
  }

  /** Answers how long it took until everything was ready, in milliseconds. */
  async install(): Promise<number> {
    const begunMs = nowMs();
    await this.kube.helm('install', this.name, CHART, '--create-namespace', ...this.words());
    const installedMs = nowMs() - begunMs;
    this.address = await this.nodePort();
    return Math.round(installedMs);
  }

  /** These values are kept for later upgrades. */
  async upgrade(values: Readonly<Record<string, string>>): Promise<void> {
    this.values = { ...this.values, ...values };
    await this.kube.helm('upgrade', this.name, CHART, ...this.words());
  }

  async uninstall(): Promise<void> {
    await this.kube.helm('uninstall', this.name, '--wait', '--timeout', ROLLOUT).catch(() => {});
    await this.kube.run('delete', 'namespace', this.options.namespace, '--ignore-not-found', '--timeout=120s');
  }

  /** Where clients outside connect: the port of the Service at the first node, which no fault takes away. */
  get endpoint(): string {
    return this.address;
  }

  /** A call of fulmar.v1.Admin from outside. */
  async admin<Response>(name: string, request: object): Promise<Response> {
    const connection = connectGrpc(this.endpoint);
    try {
      const options = { timeoutMs: ADMIN_MS, waitForConnection: true };
      return await connection.unary<object, Response>({ service: 'fulmar.v1.Admin', name }, request, options);
    } finally {
      connection.close();
    }
  }

  async pods(component?: string, set?: string): Promise<readonly Pod[]> {
    const labels = [`app.kubernetes.io/instance=${this.name}`];
    labels.push(
      `app.kubernetes.io/component${component === undefined ? ' in (nameserver,broker,proxy)' : `=${component}`}`,
    );
    if (set !== undefined) labels.push(`fulmar/set=${set}`);
    return this.kube.list<Pod>('pods', '-l', labels.join(','));
  }

  async workloads(): Promise<readonly Workload[]> {
    return this.kube.list<Workload>('deployments,statefulsets', '-l', `app.kubernetes.io/instance=${this.name}`);
  }

  async workloadOf(component: string, set?: string): Promise<string> {
    const suffix = set ?? component;
    const found = (await this.workloads()).find(({ metadata }) => metadata.name.endsWith(`-${suffix}`));
    if (found === undefined) throw new Error(`There is no workload ${suffix}.`);
    return `${found.kind.toLowerCase()}/${found.metadata.name}`;
  }

  async brokers(set?: string): Promise<readonly Broker[]> {
    const { brokers } = await this.admin<{ readonly brokers: readonly Broker[] }>('GetClusterStatus', {});
    return brokers.filter((broker) => set === undefined || broker.set === set);
  }

  /** The name of the pod that leads the set. */
  async masterOf(set: string): Promise<string> {
    let found: string | undefined;
    await until(`${set} has a master`, MASTER_MS, async () => {
      found = (await this.brokers(set)).find(({ role }) => role === 'master')?.replica;
      return found !== undefined;
    });
    return found!;
  }

  async slavesOf(set: string): Promise<readonly string[]> {
    const master = await this.masterOf(set);
    return (await this.pods('broker', set)).map(({ metadata }) => metadata.name).filter((name) => name !== master);
  }

  async nodeOf(pod: string): Promise<string> {
    const { spec } = await this.kube.json<Pod>('get', 'pod', pod);
    if (spec.nodeName === undefined) throw new Error(`The pod ${pod} is on no node.`);
    return spec.nodeName;
  }

  /** A command of the command line, in the pod of a proxy. */
  async fulmar(...words: readonly string[]): Promise<string> {
    return this.kube.run('exec', await this.workloadOf('proxy'), '--', 'fulmar', ...words);
  }

  /** Waits until every pod is ready, of the newest kind, and every replica in sync. */
  async whole(): Promise<void> {
    let missing = '';
    try {
      await until('everything of the release is in order', RECOVERY_MS, async () => {
        const [pods, workloads] = await Promise.all([this.pods(), this.workloads()]);
        const replicas = workloads.reduce((sum, { spec }) => sum + spec.replicas, 0);
        const waiting = [
          ...workloads.filter((workload) => !isRolledOut(workload)).map(({ metadata }) => metadata.name),
          ...pods.filter((pod) => !isReady(pod)).map(({ metadata }) => metadata.name),
          ...(await this.brokers()).filter(({ inSync }) => !inSync).map(({ replica }) => replica),
        ];
        missing = [...new Set(waiting)].join(', ');
        if (waiting.length === 0 && pods.length === replicas) return true;
        await pause(LOOK_EVERY_MS);
        return false;
      });
    } catch (problem) {
      throw new Error(
        `${(problem as Error).message} Waiting for: ${missing}\n${await this.story(missing.split(', '))}`,
      );
    }
  }

  /** Resident memory of each pod in MiB, from its own metrics, by component. */
  async memoryMiB(): Promise<Readonly<Record<string, readonly number[]>>> {
    const used: Record<string, number[]> = {};
    for (const { metadata } of await this.pods()) {
      const component = metadata.labels['app.kubernetes.io/component'] ?? '';
      const port = `${metadata.name}:${HTTP_PORTS[component]}`;
      const path = `/api/v1/namespaces/${this.kube.namespace}/pods/${port}/proxy/metrics`;
      const text = await this.kube.run('get', '--raw', path);
      const bytes = /^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$/m.exec(text)?.[1];
      used[component] = [...(used[component] ?? []), Math.round(Number(bytes) / 1024 ** 2)];
    }
    return used;
  }

  /** Containers that ended by themselves, or for too much memory. */
  async accidents(): Promise<readonly string[]> {
    return (await this.pods()).flatMap(accidentsOf);
  }

  /** What pods have to say, for a run that went wrong. */
  async story(names: readonly string[]): Promise<string> {
    const tell = (...words: string[]) => this.kube.run(...words).catch((problem: Error) => problem.message);
    const parts = [await tell('get', 'pods', '-o', 'wide')];
    for (const name of names.filter((each) => each !== '')) {
      parts.push(`--- ${name}`, await tell('logs', name, '--tail', LOG_LINES), await tell('describe', 'pod', name));
    }
    return parts.join('\n');
  }

  private words(): readonly string[] {
    const files = this.options.files.flatMap((file) => ['-f', file]);
    const values = Object.entries(this.values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    return [...files, ...values, '--wait', '--timeout', ROLLOUT];
  }

  private async nodePort(): Promise<string> {
    type Node = {
      readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
    };
    type Service = { readonly spec: { readonly ports: readonly { readonly nodePort?: number }[] } };
    const [node] = await this.kube.list<Node>('nodes');
    const [service] = await this.kube.list<Service>(
      ...['services', '-l', `app.kubernetes.io/instance=${this.name},app.kubernetes.io/component=proxy`],
    );
    const address = node?.status.addresses.find(({ type }) => type === 'InternalIP')?.address;
    const port = service?.spec.ports[0]?.nodePort;
    if (address === undefined || port === undefined) throw new Error('The Service of the proxies has no NodePort.');
    return `${address}:${port}`;
  }
}
