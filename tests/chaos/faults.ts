// What can go wrong, one row each: how it is made to happen to one broker set, and how it is healed. A row says which
// clusters it makes sense for; afterwards the round waits until everything is in order again.
import type { SeededRandom } from '../simulation/random.ts';
import { type BrokerReplica, type ClusterShape, DATA_PORT, REPLICATION_PORT } from './building.ts';
import type { ChaosCluster } from './cluster.ts';
import { nowMs, pause } from './machine.ts';
import { HERE, type Host } from './network.ts';
import type { Prober } from './prober.ts';
import { Relay } from './relay.ts';

export interface Scene {
  readonly cluster: ChaosCluster;
  readonly set: string;
  readonly prober: Prober;
  readonly random: SeededRandom;
  /** The broker whose disk can fail and lie; only after the preparation of such a fault. */
  readonly armed?: BrokerReplica;
}

export interface Fault {
  readonly name: string;
  readonly text: string;
  /** Why it does not fit; undefined when it does. */
  readonly unfit?: (shape: ClusterShape) => string | undefined;
  /** What has to be done before, and counts neither as fault nor as gap. Answers the scene of the fault. */
  readonly prepare?: (scene: Scene) => Promise<Scene>;
  /** Makes it happen and heals it. What is wrong about how the cluster took it is thrown. */
  readonly play: (scene: Scene) => Promise<void>;
  /** Whether every set is hit and not only the one of the scene. */
  readonly hitsAll?: boolean;
}

const RESTART_AFTER_MS = 500;
const FAIL_OVER_PATIENCE_MS = 15_000;
const PARTITION_MS = 8_000;
const FREEZE_MS = 8_000;
const DISK_FREEZE_MS = 8_000;
const FLAP_MS = 2_000;
const SLOW_MS = 6_000;
const LIE_MS = 3_000;
const SLOW_DELAY_MS = 60;
const ENDS_WITHIN_MS = 15_000;

const needsReplicas = ({ replicas }: ClusterShape) =>
  replicas > 1 ? undefined : 'a set of one replica has nobody to take over';
const needsStore = ({ coordination }: ClusterShape) =>
  coordination === 'etcd' ? undefined : 'there is no coordination store with an address';

/** While the fault lasts: as long as it is to, and until the set takes writes again if others can take over. */
async function outlast({ cluster, prober }: Scene, leastMs = RESTART_AFTER_MS): Promise<void> {
  const begunMs = nowMs();
  if (cluster.parts.shape.replicas > 1) {
    const patience = pause(FAIL_OVER_PATIENCE_MS);
    await Promise.race([patience, prober.isWritten(begunMs).catch(() => {})]);
  }
  await pause(Math.max(0, leastMs - (nowMs() - begunMs)));
}

async function slave({ cluster, set, random }: Scene): Promise<BrokerReplica> {
  return random.pick(await cluster.slavesOf(set));
}

const master = ({ cluster, set }: Scene) => cluster.masterOf(set);

/** Every other replica of its set, and the coordination store. */
function surroundings({ cluster }: Scene, broker: BrokerReplica): Host[] {
  const peers = cluster.replicasOf(broker.set).filter((other) => other !== broker);
  const { etcd } = cluster.parts;
  return [...peers.map(({ host }) => host), ...(etcd === undefined ? [] : [etcd.host])];
}

async function partition(
  scene: Scene,
  broker: BrokerReplica,
  cut: (inside: Host, outside: Host) => Promise<void>,
  leastMs = PARTITION_MS,
): Promise<void> {
  for (const other of surroundings(scene, broker)) await cut(broker.host, other);
  await outlast(scene, leastMs);
  await scene.cluster.parts.network.heal();
}

/** The machine is off from the moment of the copy; answers when it is on again and its processes are being started. */
async function cutPower(scene: Scene, brokers: readonly BrokerReplica[], whileOff: () => Promise<void>): Promise<void> {
  for (const { process } of brokers) process.freeze();
  const copies = await Promise.all(brokers.map(({ disk }) => disk.copyOfThisMoment()));
  await Promise.all(brokers.map(({ process }) => process.kill()));
  await Promise.all(brokers.map(({ disk }, i) => disk.continueWith(copies[i]!)));
  for (const { disk } of brokers) disk.behave();
  await whileOff();
  for (const { process } of brokers) process.launch();
  if (brokers.length === scene.cluster.parts.brokers.length) await pause(RESTART_AFTER_MS);
}

async function arm(scene: Scene, broker: BrokerReplica): Promise<Scene> {
  await broker.process.stop();
  broker.process.launch(broker.faultyDisk);
  await scene.cluster.whole();
  return { ...scene, armed: broker };
}

/** A master comes to it as a slave that takes over, so that the set is written all the time. */
async function armMaster(scene: Scene): Promise<Scene> {
  const { cluster, set } = scene;
  if (cluster.parts.shape.replicas === 1) return arm(scene, await master(scene));
  const broker = await slave(scene);
  const ready = await arm(scene, broker);
  await cluster.fulmar('broker', 'step-down', set, '--to', broker.replica);
  if ((await master(scene)) !== broker) throw new Error(`${broker.host.name} was to lead ${set} and does not`);
  await cluster.whole();
  await pause(RESTART_AFTER_MS);
  return ready;
}

/** The disk fails at the next calls but a few; a broker that meets that must end and not try again. */
async function failDisk(scene: Scene, kind: 'fail-sync' | 'fail-write'): Promise<void> {
  const { disk, process } = scene.armed!;
  disk.misbehave(`${kind} ${scene.random.between(1, 20)}`);
  try {
    await process.ended(ENDS_WITHIN_MS);
  } finally {
    disk.behave();
  }
  await outlast(scene);
  process.launch();
}

async function restart(broker: BrokerReplica): Promise<void> {
  const status = await broker.process.stop();
  broker.process.launch();
  if (status !== '0') throw new Error(`${broker.process.name} ended with ${status} when it was asked to stop`);
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'kill-master',
    text: 'kill -9 of the master',
    async play(scene) {
      const { process } = await master(scene);
      await process.kill();
      await outlast(scene);
      process.launch();
    },
  },
  {
    name: 'kill-slave',
    text: 'kill -9 of a slave',
    unfit: needsReplicas,
    async play(scene) {
      const { process } = await slave(scene);
      await process.kill();
      await outlast(scene, 5_000);
      process.launch();
    },
  },
  {
    name: 'kill-all',
    text: 'kill -9 of every process of the cluster',
    hitsAll: true,
    async play({ cluster }) {
      const etcd = cluster.parts.etcd;
      const ours = cluster.processes.filter((process) => process !== etcd);
      await Promise.all(ours.map((process) => process.kill()));
      await pause(RESTART_AFTER_MS);
      for (const process of ours) process.launch();
    },
  },
  {
    name: 'stop-master',
    text: 'SIGSTOP of the master for 8 s',
    async play(scene) {
      const { process } = await master(scene);
      process.freeze();
      await outlast(scene, FREEZE_MS);
      process.thaw();
    },
  },
  {
    name: 'cut-master',
    text: 'the master is cut off from its slaves and the coordination store',
    unfit: needsReplicas,
    async play(scene) {
      const { network } = scene.cluster.parts;
      await partition(scene, await master(scene), (inside, outside) => network.cut(inside, outside));
    },
  },
  {
    name: 'deafen-master',
    text: 'the master hears nothing from its slaves and the coordination store',
    unfit: needsReplicas,
    async play(scene) {
      const { network } = scene.cluster.parts;
      await partition(scene, await master(scene), (inside, outside) => network.cutOneWay(outside, inside));
    },
  },
  {
    name: 'mute-master',
    text: 'the slaves and the coordination store hear nothing from the master',
    unfit: needsReplicas,
    async play(scene) {
      const { network } = scene.cluster.parts;
      await partition(scene, await master(scene), (inside, outside) => network.cutOneWay(inside, outside));
    },
  },
  {
    name: 'flap-master',
    text: 'the master is cut off and comes back, every 2 s, three times',
    unfit: needsReplicas,
    async play(scene) {
      const { network } = scene.cluster.parts;
      const broker = await master(scene);
      for (let time = 0; time < 3; time++) {
        for (const other of surroundings(scene, broker)) await network.cut(broker.host, other);
        await pause(FLAP_MS);
        await network.heal();
        await pause(FLAP_MS);
      }
    },
  },
  {
    name: 'cut-slave',
    text: 'a slave is cut off from the others and the coordination store',
    unfit: needsReplicas,
    async play(scene) {
      const { network } = scene.cluster.parts;
      await partition(scene, await slave(scene), (inside, outside) => network.cut(inside, outside));
    },
  },
  {
    name: 'cut-store',
    text: 'every broker is cut off from the coordination store',
    unfit: needsStore,
    hitsAll: true,
    async play({ cluster }) {
      const { brokers, etcd, network } = cluster.parts;
      for (const { host } of brokers) await network.cut(host, etcd!.host);
      await pause(PARTITION_MS);
      await network.heal();
    },
  },
  {
    name: 'kill-store',
    text: 'kill -9 of the coordination store, back after 8 s',
    unfit: needsStore,
    hitsAll: true,
    async play({ cluster }) {
      const { etcd } = cluster.parts;
      await etcd!.kill();
      await pause(DISK_FREEZE_MS);
      await etcd!.start();
    },
  },
  {
    name: 'slow-network',
    text: 'every connection to the master is slow for 6 s, stalls for 1 s and is reset',
    async play(scene) {
      const { network, proxies } = scene.cluster.parts;
      const broker = await master(scene);
      const peers = scene.cluster.replicasOf(scene.set).filter((other) => other !== broker);
      const relays: Relay[] = [];
      const divert = async (from: readonly Host[], port: number) => {
        const relay = await Relay.start([{ host: broker.host.address, port }], HERE);
        relay.delay(SLOW_DELAY_MS);
        relays.push(relay);
        for (const host of from) await network.divert(host, broker.host, port, relay.port);
      };
      await divert(
        proxies.map(({ host }) => host),
        DATA_PORT,
      );
      if (peers.length > 0)
        await divert(
          peers.map(({ host }) => host),
          REPLICATION_PORT,
        );
      await pause(SLOW_MS);
      for (const relay of relays) relay.stall();
      await pause(1_000);
      await network.heal();
      for (const relay of relays) {
        relay.reset();
        relay.close();
      }
    },
  },
  {
    name: 'freeze-disk',
    text: 'the disk of the master takes nothing for 8 s',
    async play(scene) {
      const { disk } = await master(scene);
      await disk.freeze();
      try {
        await outlast(scene, DISK_FREEZE_MS);
      } finally {
        await disk.unfreeze();
      }
    },
  },
  {
    name: 'full-disk',
    text: 'the disk of the master is full for 5 s',
    async play(scene) {
      const { disk } = await master(scene);
      await disk.fill();
      await pause(5_000);
      disk.makeSpace();
    },
  },
  {
    name: 'power-cut-one',
    text: 'the machine of the master loses its power',
    async play(scene) {
      await cutPower(scene, [await master(scene)], () => outlast(scene));
    },
  },
  {
    name: 'power-cut-all',
    text: 'every broker machine loses its power at once',
    hitsAll: true,
    async play(scene) {
      await cutPower(scene, scene.cluster.parts.brokers, () => pause(RESTART_AFTER_MS));
    },
  },
  {
    name: 'failing-fsync',
    text: 'the disk of the master answers EIO to what must reach it; the broker has to end',
    prepare: armMaster,
    play: (scene) => failDisk(scene, 'fail-sync'),
  },
  {
    name: 'failing-write',
    text: 'the disk of the master answers EIO to writes; the broker has to end',
    prepare: armMaster,
    play: (scene) => failDisk(scene, 'fail-write'),
  },
  {
    name: 'lying-fsync',
    text: 'the disk of a slave says yes and does nothing for 3 s, and then loses its power',
    unfit: needsReplicas,
    prepare: async (scene) => arm(scene, await slave(scene)),
    async play(scene) {
      const broker = scene.armed!;
      broker.disk.misbehave('lie');
      await pause(LIE_MS);
      await cutPower(scene, [broker], () => outlast(scene));
    },
  },
  {
    name: 'empty-disk',
    text: 'the disk of a replica is replaced by an empty one',
    unfit: needsReplicas,
    async play(scene) {
      const broker = scene.random.pick(scene.cluster.replicasOf(scene.set));
      await broker.process.kill();
      await broker.disk.replaceByEmpty();
      await outlast(scene);
      broker.process.launch();
    },
  },
  {
    name: 'hand-over',
    text: 'fulmar broker step-down',
    unfit: needsReplicas,
    async play(scene) {
      const before = await master(scene);
      await scene.cluster.fulmar('broker', 'step-down', scene.set);
      await outlast(scene);
      if ((await master(scene)) === before)
        throw new Error(`${before.host.name} stepped down and leads ${scene.set} still`);
    },
  },
  {
    name: 'terminate-master',
    text: 'SIGTERM of the master',
    async play(scene) {
      const broker = await master(scene);
      const status = await broker.process.stop();
      await outlast(scene);
      broker.process.launch();
      if (status !== '0') throw new Error(`${broker.host.name} ended with ${status} when it was asked to stop`);
    },
  },
  {
    name: 'kill-nameserver',
    text: 'kill -9 of a NameServer',
    async play({ cluster, random }) {
      const nameserver = random.pick(cluster.parts.nameservers);
      await nameserver.kill();
      await pause(5_000);
      nameserver.launch();
    },
  },
  {
    name: 'kill-proxy',
    text: 'kill -9 of a proxy',
    async play({ cluster, random }) {
      const proxy = random.pick(cluster.parts.proxies);
      await proxy.kill();
      await pause(3_000);
      proxy.launch();
    },
  },
  {
    name: 'rolling-restart',
    text: 'every process is restarted in good order, one after the other',
    hitsAll: true,
    async play({ cluster }) {
      const { nameservers, brokers, proxies } = cluster.parts;
      for (const broker of brokers) {
        await restart(broker);
        await cluster.whole();
      }
      for (const process of [...nameservers, ...proxies]) {
        await process.stop();
        process.launch();
        await cluster.whole();
      }
    },
  },
];
