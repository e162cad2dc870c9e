// helm as a program that renders the chart of this project: for what is kept rendered, and for tests of what it
// renders.
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const CHART = join(ROOT, 'charts/fulmar');

/** Throws with what helm says when it does not take the words, or when it is missing. */
export function helm(...words: readonly string[]): string {
  try {
    return execFileSync('helm', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 24 });
  } catch (problem) {
    const { code, stderr } = problem as { readonly code?: string; readonly stderr?: string };
    if (code === 'ENOENT') {
      throw new Error('helm is missing. Put helm 3.14 or newer into PATH; scripts/test brings one on x86-64.');
    }
    throw new Error(stderr ?? String(problem));
  }
}

export function render(release: string, namespace: string, ...words: readonly string[]): string {
  return helm('template', release, CHART, '--namespace', namespace, ...words);
}
