// The broker replicas of `fulmar run --sets N --replicas M`: a process of its own for each, so that one can be killed
// and the others be watched. They agree through etcd, or through a journal in one directory, which is safe only because
// all of them run on one machine and see the same file system.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flagOf } from '@fulmar/core/config.ts';
import { startChild } from '@fulmar/runtime/child-process.ts';
import { systemClock, systemTimers } from '@fulmar/runtime/clock.ts';
import { Supervisor, type SupervisorNews } from '@fulmar/runtime/supervisor.ts';
import { openProxy } from './proxy.ts';

export interface ReplicasOptions {
  readonly sets: number;
  readonly replicas: number;
  readonly dataDir: string;
  readonly nameservers: readonly string[];
  readonly coordination: 'file' | 'etcd';
  readonly etcdEndpoints: readonly string[];
  /** More settings of every broker, by their names. */
  readonly settings: Readonly<Record<string, string | number>>;
  readonly tell: (sentence: string) => void;
}

export interface ReplicaProcess {
  readonly set: string;
  readonly replica: string;
  readonly dataDir: string;
  readonly pid: number | undefined;
}

export interface Replicas {
  list(): readonly ReplicaProcess[];
  /** Ends all of them, at the latest by force. */
  stop(withinMs: number): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('./main.ts', import.meta.url));

export function startReplicas(options: ReplicasOptions): Replicas {
  const { sets, replicas, dataDir, tell } = options;
  const running: {
    readonly set: string;
    readonly replica: string;
    readonly dataDir: string;
    supervisor: Supervisor;
  }[] = [];
  for (const set of names('set', sets)) {
    for (const replica of names('replica', replicas)) {
      const directory = join(dataDir, set, replica);
      const words = ['broker', ...flagsOf(options, set, replica, directory)];
      const supervisor = new Supervisor({
        start: () => startChild(PROGRAM, words),
        clock: systemClock,
        timers: systemTimers,
        tell: (news) => tell(sentenceOf(`${set}/${replica}`, news)),
      });
      running.push({ set, replica, dataDir: directory, supervisor });
    }
  }
  return {
    list: () => running.map(({ supervisor, ...replica }) => ({ ...replica, pid: supervisor.pid })),
    async stop(withinMs) {
      await Promise.all(running.map(({ supervisor }) => supervisor.stop(withinMs)));
    },
  };
}

function sentenceOf(name: string, news: SupervisorNews): string {
  switch (news.kind) {
    case 'ended': {
      const who = news.pid === undefined ? name : `${name} (pid ${news.pid})`;
      return `${who} has ended: ${news.how}. It is started again in ${news.againInMs / 1_000} s.`;
    }
    case 'started':
      return `${name} runs again, with pid ${news.pid}.`;
    case 'killed':
      return `${name} does not end; it is killed.`;
  }
}

function names(kind: string, amount: number): readonly string[] {
  return Array.from({ length: amount }, (_, i) => `${kind}-${i}`);
}

/** Ports are any free ones; a replica that comes back has others, which it tells the NameServer and its set. */
function flagsOf(options: ReplicasOptions, set: string, replica: string, dataDir: string): readonly string[] {
  const { replicas, coordination, etcdEndpoints } = options;
  const settings: Record<string, string | number> = {
    ...options.settings,
    set,
    replica,
    dataDir,
    listen: '127.0.0.1:0',
    http: '127.0.0.1:0',
    nameservers: options.nameservers.join(','),
  };
  if (replicas > 1) {
    Object.assign(settings, { replicationListen: '127.0.0.1:0', coordination });
    if (coordination === 'file') settings.coordinationDir = join(options.dataDir, 'coordination');
    else settings.etcdEndpoints = etcdEndpoints.join(',');
  }
  return Object.entries(settings).flatMap(([key, value]) => [flagOf(key), String(value)]);
}

interface ClusterStatus {
  readonly brokers: readonly { readonly set: string; readonly role: string; readonly inSync: boolean }[];
}

const LOOK_EVERY_MS = 200;

/** Resolves when every set has a master with all its replicas in sync; with what is missing, if that takes too long. */
export async function whenAllInSync(
  endpoint: string,
  { sets, replicas }: Pick<ReplicasOptions, 'sets' | 'replicas'>,
  withinMs: number,
): Promise<string | undefined> {
  const proxy = openProxy(endpoint, { tls: 'off' }, 'fulmar-run');
  const untilMs = systemClock.monotonicMs() + withinMs;
  try {
    for (;;) {
      const missing = missingOf(await proxy.admin<ClusterStatus>('GetClusterStatus', {}), sets, replicas);
      if (missing === undefined || systemClock.monotonicMs() >= untilMs) return missing;
      await new Promise<void>((resolve) => {
        systemTimers.after(LOOK_EVERY_MS, resolve);
      });
    }
  } finally {
    proxy.close();
  }
}

function missingOf({ brokers }: ClusterStatus, sets: number, replicas: number): string | undefined {
  for (const set of names('set', sets)) {
    const members = brokers.filter((broker) => broker.set === set);
    if (!members.some(({ role }) => role === 'master')) return `${set} has no master yet.`;
    const inSync = members.filter((member) => member.inSync).length;
    if (inSync < replicas) return `${set} has ${inSync} of ${replicas} replicas in sync yet.`;
  }
  return undefined;
}
