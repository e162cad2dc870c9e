// Official clients, each once: outside of the cluster through the port of a node, and in a pod through the Service.
// Their programs send a message and receive it; what counts is that they say so and end with 0.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nowMs, ROOT, until } from '../chaos/machine.ts';
import { plainEnvironment } from '../chaos/processes.ts';
import type { Pod } from './kubectl.ts';
import type { Release } from './release.ts';

export interface ClientTrial {
  readonly client: string;
  readonly where: 'outside' | 'in a pod';
  readonly milliseconds: number;
  readonly problem?: string;
}

export const LANGUAGES = ['node', 'python', 'go', 'java'] as const;
export type Language = (typeof LANGUAGES)[number];

/** What `tests/kubernetes/clients.Dockerfile` brings: its words for a pod. */
const IN_POD: Readonly<Record<string, readonly string[]>> = {
  node: ['node', '/clients/node/snippet.mjs'],
  python: ['/clients/python/bin/python', '/clients/python/snippet.py'],
  go: ['/clients/go/snippet'],
  java: ['java', '-Duser.home=/tmp', '-cp', '/clients/java/classes:/clients/java/dependency/*', 'Snippet'],
};

const TRIAL_MS = 90_000;

export function isBuilt(language: string): boolean {
  return existsSync(join(ROOT, '.cache/clients', language, 'built'));
}

/** Topics and groups of the programs. */
export async function prepareTrials(release: Release): Promise<void> {
  for (const language of LANGUAGES) {
    await release.admin('CreateTopic', { name: `hello-${language}`, type: 1, queues: 4 });
    await release.admin('CreateGroup', { name: `hello-${language}-readers`, settings: { fromEarliest: true } });
  }
}

export async function tryOutside(language: string, endpoint: string, home: string): Promise<ClientTrial> {
  mkdirSync(home, { recursive: true });
  const words = [language, 'snippet', endpoint];
  return trial(language, 'outside', join(ROOT, 'tests/clients/run'), words, { CLIENT_HOME: home });
}

/** Undefined for a language whose client is not in the image. */
export async function tryInPod(language: string, release: Release, image: string): Promise<ClientTrial | undefined> {
  const program = IN_POD[language];
  if (program === undefined) return undefined;
  const endpoint = await serviceAddress(release);
  const name = `client-${language}`;
  const { kube } = release;
  const begunMs = nowMs();
  await kube.run(
    ...['run', name, '--restart=Never', '--quiet', `--image=${image}`, '--image-pull-policy=IfNotPresent'],
    ...['--env=HOME=/tmp', '--command', '--', ...program, endpoint],
  );
  try {
    let phase = '';
    await until(`${name} has ended`, TRIAL_MS, async () => {
      phase = (await kube.json<Pod>('get', 'pod', name)).status.phase;
      return phase === 'Succeeded' || phase === 'Failed';
    });
    const milliseconds = Math.round(nowMs() - begunMs);
    // Its log and not what an attached kubectl saw: that comes too late for a program that ends soon.
    const said = await kube.run('logs', name);
    const good = phase === 'Succeeded' && hasReceived(said);
    const problem = `${phase} ${said}`.trim().slice(-600);
    return { client: language, where: 'in a pod', milliseconds, ...(good ? {} : { problem }) };
  } finally {
    await kube.run('delete', 'pod', name, '--wait=false');
  }
}

export async function serviceAddress(release: Release): Promise<string> {
  const labels = `app.kubernetes.io/instance=${release.name},app.kubernetes.io/component=proxy`;
  const name = await release.kube.run('get', 'service', '-l', labels, '-o', 'jsonpath={.items[0].metadata.name}');
  return `${name}.${release.kube.namespace}:8081`;
}

function hasReceived(said: string): boolean {
  return /received .*Hello, Fulmar!/.test(said);
}

function trial(
  client: string,
  where: ClientTrial['where'],
  tool: string,
  words: readonly string[],
  more: Readonly<Record<string, string>>,
): Promise<ClientTrial> {
  const begun = process.hrtime.bigint();
  return new Promise((resolve) => {
    const options = { encoding: 'utf8', timeout: TRIAL_MS, env: { ...plainEnvironment(), ...more } } as const;
    execFile(tool, words, options, (error, stdout, stderr) => {
      const milliseconds = Number((process.hrtime.bigint() - begun) / 1_000_000n);
      const good = error === null && hasReceived(stdout);
      const told = `${error?.message ?? ''} ${stdout} ${stderr}`.trim().slice(-600);
      resolve({ client, where, milliseconds, ...(good ? {} : { problem: told }) });
    });
  });
}
