// A network of its own for each process of the run: one namespace per host, joined by a bridge in the namespace in
// which the run itself lives. Nothing of it is seen outside of that, and the kernel takes all of it away with the run.
import { mkdirSync } from 'node:fs';
import { command } from './machine.ts';

export interface Host {
  readonly name: string;
  readonly address: string;
  /** Words before a command that is to run there; the process keeps its own id. */
  readonly enter: readonly string[];
}

const NAMES = '/run/netns';
const SUBNET = '10.77.0';
/** The run itself, and the clients that it starts. */
export const HERE = `${SUBNET}.1`;

export class Network {
  private readonly hosts = new Map<string, Host>();

  /** Call once, inside of the namespaces that `scripts/chaos` has made. */
  static async open(): Promise<Network> {
    mkdirSync(NAMES, { recursive: true });
    await command('mount', ['-t', 'tmpfs', 'tmpfs', NAMES]);
    await command('ip', ['link', 'set', 'lo', 'up']);
    await command('ip', ['link', 'add', 'bridge', 'type', 'bridge']);
    await command('ip', ['addr', 'add', `${HERE}/24`, 'dev', 'bridge']);
    await command('ip', ['link', 'set', 'bridge', 'up']);
    return new Network();
  }

  /** `number` is the last part of the address, 2 to 254. */
  async add(name: string, number: number): Promise<Host> {
    const cable = `cable${number}`;
    const address = `${SUBNET}.${number}`;
    await command('ip', ['netns', 'add', name]);
    await command('ip', ['link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await command('ip', ['link', 'set', cable, 'master', 'bridge', 'up']);
    await command('ip', ['-n', name, 'addr', 'add', `${address}/24`, 'dev', 'eth0']);
    await command('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
    await command('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    const host = { name, address, enter: ['nsenter', `--net=${NAMES}/${name}`] };
    this.hosts.set(name, host);
    return host;
  }

  /** What `from` sends to `to` is lost from now on; the other direction goes on. */
  async cutOneWay(from: Host, to: Host): Promise<void> {
    await filter(to, ['-A', 'INPUT', '-s', from.address, '-j', 'DROP']);
  }

  async cut(one: Host, other: Host): Promise<void> {
    await Promise.all([this.cutOneWay(one, other), this.cutOneWay(other, one)]);
  }

  /**
   * Connections from `from` to that port of `to` go to a relay in the run's own namespace from now on. Those that exist
   * are reset, so that they come again that way.
   */
  async divert(from: Host, to: Host, port: number, relayPort: number): Promise<void> {
    const there = ['-p', 'tcp', '-d', to.address, '--dport', String(port)];
    await filter(from, [
      '-t',
      'nat',
      '-A',
      'OUTPUT',
      ...there,
      '-j',
      'DNAT',
      '--to-destination',
      `${HERE}:${relayPort}`,
    ]);
    const old = ['-p', 'tcp', '-s', from.address, '--dport', String(port)];
    await filter(to, ['-A', 'INPUT', ...old, '-j', 'REJECT', '--reject-with', 'tcp-reset']);
  }

  /** Every packet arrives again. */
  async heal(): Promise<void> {
    for (const host of this.hosts.values()) {
      await filter(host, ['-F']);
      await filter(host, ['-t', 'nat', '-F']);
    }
  }
}

async function filter(host: Host, words: readonly string[]): Promise<void> {
  const [tool, ...rest] = [...host.enter, 'iptables', '-w', ...words];
  await command(tool!, rest);
}
