// promtool and Prometheus, which scripts/test unpacks where there are none.
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ROOT } from '../tidy/files.ts';

const UNPACKED = join(ROOT, '.cache', 'prometheus', 'usr', 'bin');

/** Where the program is. */
export function prometheusProgram(name: 'prometheus' | 'promtool'): string {
  const places = [...(process.env.PATH ?? '').split(delimiter), UNPACKED].map((place) => join(place, name));
  const found = places.find(isExecutable);
  if (found !== undefined) return found;
  throw new Error(`This test needs ${name} 2.40 or newer in PATH. scripts/test brings one where there is apt-get.`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What promtool has to say against it; undefined if nothing. */
export function promtool(...words: readonly string[]): string | undefined {
  try {
    execFileSync(prometheusProgram('promtool'), words, { encoding: 'utf8', stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return stdout + stderr || String(error);
  }
}
