// The files of the project as the tidy rules see them: text by path. Rules are functions over such a list, so that each
// can be shown to work on files that are made up.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface ProjectFile {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Text that others wrote or programs produce: our rules of style do not reach it, those about traces do. */
const NOT_OURS = [/(^|\/)package-lock\.json$/, /^LICENSE$/, /\/vendor\//, /(^|\/)go\.sum$/, /(^|\/)Cargo\.lock$/];

export const isOurs = (file: ProjectFile) => !NOT_OURS.some((pattern) => pattern.test(file.path));

const isTypeScript = (path: string) => /\.(ts|mts|cts)$/.test(path);

export const isTest = (path: string) =>
  /\.test\.ts$/.test(path) || path.startsWith('tests/') || /^services\/[^/]+\/testing\//.test(path);

/** What connects the parts to the machine, and only that: the programs. */
export const isWiring = (path: string) => /^services\/[^/]+\/(main|worker)\.ts$/.test(path);

/** Every text file that is in the repository or would be at the next commit. */
export function readProject(root: string = ROOT): ProjectFile[] {
  // The checkout may belong to another user, as in containers; git is told that this is fine.
  const arguments_ = ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const listing = execFileSync('git', arguments_, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  const files: ProjectFile[] = [];
  for (const path of new Set(listing.split('\0'))) {
    if (path === '' || !statSync(join(root, path), { throwIfNoEntry: false })?.isFile()) continue;
    const bytes = readFileSync(join(root, path));
    if (!bytes.subarray(0, 8192).includes(0)) files.push({ path, text: bytes.toString('utf8') });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function typeScriptOf(files: readonly ProjectFile[]): ProjectFile[] {
  return files.filter((file) => isTypeScript(file.path) && isOurs(file));
}

/** `path:line: what`, which terminals make a link of. */
export function at(file: ProjectFile, index: number, what: string): string {
  return `${file.path}:${file.text.slice(0, index).split('\n').length}: ${what}`;
}
