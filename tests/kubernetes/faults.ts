// What can happen to a release on Kubernetes, one row each: accidents, and what operators do on purpose. A row makes it
// happen; afterwards the round waits until everything is in order again.
import { nowMs, pause, until } from '../chaos/machine.ts';
import type { Prober } from '../chaos/prober.ts';
import type { SeededRandom } from '../simulation/random.ts';
import type { NodeTool } from './nodes.ts';
import type { Release } from './release.ts';

export interface Scene {
  readonly release: Release;
  readonly set: string;
  readonly prober: Prober;
  readonly random: SeededRandom;
  /** Ends and starts whole nodes, where that is possible. */
  readonly nodes: NodeTool | undefined;
}

export interface Fault {
  readonly name: string;
  readonly text: string;
  /** Nodes that the cluster must have at least, and a program that can end them. */
  readonly needsNodes?: number;
  /** It begins with a set of one replica, and so must come first. */
  readonly grows?: boolean;
  readonly play: (scene: Scene) => Promise<void>;
  /** Whether every set is hit and not only the one of the scene. */
  readonly hitsAll?: boolean;
}

const NODE_OUTAGE_MS = 60_000;
const NEW_VOLUME_MS = 60_000;
const REST_MS = 5_000;

async function oneOf(scene: Scene, component: string): Promise<string> {
  return scene.random.pick(await scene.release.pods(component)).metadata.name;
}

async function rollingRestart({ release }: Scene, component: string, set?: string): Promise<void> {
  const workload = await release.workloadOf(component, set);
  await release.kube.run('rollout', 'restart', workload);
  await release.kube.run('rollout', 'status', workload, '--timeout=300s');
}

/** Brings the lead to a node that may be lost: clients outside come in through the first one. */
async function nodeToLose({ release, set }: Scene): Promise<string> {
  const first = await release.kube.run('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}');
  const master = await release.masterOf(set);
  const node = await release.nodeOf(master);
  if (node !== first) return node;
  const [slave] = await release.slavesOf(set);
  await release.fulmar('broker', 'step-down', set, '--to', slave!);
  await release.whole();
  return release.nodeOf(slave!);
}

/** For as long as an operator would need, and with writes going on meanwhile. */
async function outlast({ prober }: Scene): Promise<void> {
  const begunMs = nowMs();
  await prober.isWritten(begunMs);
  await pause(Math.max(0, NODE_OUTAGE_MS - (nowMs() - begunMs)));
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'grow-set',
    text: 'a set of one replica becomes one of three',
    grows: true,
    async play({ release }) {
      await release.upgrade({ [GROWN_REPLICAS]: '3' });
    },
  },
  {
    name: 'kill-master',
    text: 'kubectl delete pod --force of the master',
    play: async ({ release, set }) => release.kube.deleteByForce(await release.masterOf(set)),
  },
  {
    name: 'kill-slave',
    text: 'the same with a slave',
    play: async ({ release, set, random }) => release.kube.deleteByForce(random.pick(await release.slavesOf(set))),
  },
  {
    name: 'kill-proxy',
    text: 'the same with a proxy',
    hitsAll: true,
    play: async (scene) => scene.release.kube.deleteByForce(await oneOf(scene, 'proxy')),
  },
  {
    name: 'kill-nameserver',
    text: 'the same with a NameServer',
    hitsAll: true,
    play: async (scene) => scene.release.kube.deleteByForce(await oneOf(scene, 'nameserver')),
  },
  {
    name: 'lose-volume',
    text: 'a slave is killed and its volume deleted',
    async play({ release, set, random }) {
      const slave = random.pick(await release.slavesOf(set));
      const claim = `data-${slave}`;
      const uid = () => release.kube.run('get', 'pvc', claim, '-o', 'jsonpath={.metadata.uid}').catch(() => '');
      const before = await uid();
      await release.kube.run('delete', 'pvc', claim, '--wait=false');
      await release.kube.deleteByForce(slave);
      // A pod that comes back faster than its claim goes holds that claim; it has to go once more.
      await until(`${claim} is a new one`, NEW_VOLUME_MS, async () => {
        const now = await uid();
        if (now !== '' && now !== before) return true;
        await release.kube.run('delete', 'pod', slave, '--ignore-not-found', '--wait=false');
        await pause(REST_MS);
        return false;
      });
    },
  },
  {
    name: 'restart-set',
    text: 'rolling restart of a broker set',
    play: (scene) => rollingRestart(scene, 'broker', scene.set),
  },
  {
    name: 'restart-proxies',
    text: 'rolling restart of the proxies',
    hitsAll: true,
    play: (scene) => rollingRestart(scene, 'proxy'),
  },
  {
    name: 'restart-nameservers',
    text: 'rolling restart of the NameServers',
    hitsAll: true,
    play: (scene) => rollingRestart(scene, 'nameserver'),
  },
  {
    name: 'upgrade',
    text: 'helm upgrade that changes a setting of all brokers',
    hitsAll: true,
    play: ({ release }) => release.upgrade({ 'brokers.config.retention': '48h' }),
  },
  {
    name: 'scale-proxies',
    text: 'helm upgrade to one proxy, to three, to one, and to as many as there were',
    hitsAll: true,
    async play({ release }) {
      const before = (await release.pods('proxy')).length;
      for (const replicas of [1, 3, 1, before]) {
        await release.upgrade({ 'proxy.replicas': String(replicas) });
        await pause(REST_MS);
      }
    },
  },
  {
    name: 'kill-node',
    text: 'the node of the master loses its power for a minute',
    needsNodes: 3,
    hitsAll: true,
    async play(scene) {
      const node = await nodeToLose(scene);
      await scene.nodes!.kill(node);
      await outlast(scene);
      await scene.nodes!.start(node);
    },
  },
  {
    name: 'cut-node',
    text: 'the node of the master is cut off the network for a minute',
    needsNodes: 3,
    hitsAll: true,
    async play(scene) {
      const node = await nodeToLose(scene);
      await scene.nodes!.cut(node);
      await outlast(scene);
      await scene.nodes!.join(node);
    },
  },
];

/** Of the last set, which a run with `grow-set` installs with one replica. */
export const GROWN_REPLICAS = 'brokers.sets[1].replicas';
