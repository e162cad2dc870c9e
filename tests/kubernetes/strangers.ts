// Whoever is in the cluster without a certificate: a program that calls the ports of the services, and a broker that
// knows the names of the cluster and of a set. With TLS inside, both have to be turned away.
import { pause } from '../chaos/machine.ts';
import type { Release } from './release.ts';

const UNREACHABLE = 3;
const REGISTRATION_MS = 15_000;

/** What was wrong, in sentences. */
export async function tryAsStranger(release: Release, image: string): Promise<readonly string[]> {
  const problems: string[] = [];
  const master = await release.masterOf('set-0');
  const { namespace } = release.kube;
  const broker = `${master}.${master.replace(/-\d+$/, '')}.${namespace}.svc`;
  const nameserver = `${(await release.workloadOf('nameserver')).split('/')[1]}.${namespace}.svc`;
  for (const address of [`${broker}:10911`, `${broker}:10912`, `${nameserver}:9876`]) {
    for (const flag of ['--tls-any', '--json']) {
      const status = await exitOf(release.fulmar('topic', 'list', '--endpoint', address, flag));
      // A port that listens to strangers says that it does not know the command, which is another status.
      if (status !== UNREACHABLE) problems.push(`${address} listened to a stranger (${flag}): ${status}`);
    }
  }
  const words = ['--cluster', release.clusterName, '--set', 'set-0', '--replica', 'stranger-0'];
  words.push('--data-dir', '/tmp/log', '--nameservers', `${nameserver}:9876`);
  await release.kube.run('run', 'stranger', `--image=${image}`, '--restart=Never', '--', 'broker', ...words);
  try {
    await pause(REGISTRATION_MS);
    if ((await release.brokers()).some(({ replica }) => replica === 'stranger-0')) {
      problems.push('a broker without a certificate was registered');
    }
  } finally {
    await release.kube.run('delete', 'pod', 'stranger', '--grace-period=0', '--force');
  }
  return problems;
}

async function exitOf(call: Promise<string>): Promise<number> {
  try {
    await call;
    return 0;
  } catch (problem) {
    return Number(/exit code (\d+)/.exec((problem as Error).message)?.[1] ?? -1);
  }
}
