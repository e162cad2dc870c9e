// What helm prints after an installation: every command in it has to work as it stands there.
import { command } from '../chaos/machine.ts';
import type { Release } from './release.ts';

/** It would run until it is ended. */
const ENDLESS = /port-forward/;

/** What was wrong, in sentences. */
export async function tryNotes(release: Release): Promise<readonly string[]> {
  const commands = commandsIn(await release.kube.helm('get', 'notes', release.name));
  if (commands.length === 0) return ['the notes of the chart show no command'];
  const problems: string[] = [];
  for (const line of commands) {
    if (ENDLESS.test(line)) continue;
    const problem = await command('sh', ['-c', line]).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (problem !== undefined) problems.push(`a command of the notes fails: ${problem}`);
  }
  return problems;
}

/** The indented lines. */
export function commandsIn(notes: string): readonly string[] {
  return notes.split('\n').flatMap((line) => (/^ {2}(kubectl|helm) /.test(line) ? [line.trim()] : []));
}
