// Which file imports what. Found by text, because that is fast and enough for code that one formatter has laid out;
// strings and comments are blanked first, so that only real imports are seen.
import { posix } from 'node:path';
import { codeOf } from './blank.ts';
import type { ProjectFile } from './files.ts';

export interface Import {
  readonly specifier: string;
  /** The names in braces, as the other module calls them; undefined for a namespace, a default or a bare import. */
  readonly names: readonly string[] | undefined;
  /** `import type`: gone before the code runs. (`import { type A }` is not: it still loads the module.) */
  readonly typeOnly: boolean;
  /** Where in the text it stands. */
  readonly index: number;
}

const STATEMENT = /(?<![.\w$])(?:import|export)\b([^'"`;()]*?)(?:\bfrom\s*)?(['"])([^'"]*)\2/g;
const CALL = /(?<![.\w$])import\s*\(\s*(['"`])([^'"`]*)\1/g;

const cache = new WeakMap<ProjectFile, readonly Import[]>();

export function importsOf(file: ProjectFile): readonly Import[] {
  const known = cache.get(file);
  if (known !== undefined) return known;
  const code = codeOf(file.text);
  const imports: Import[] = [];
  for (const match of code.matchAll(STATEMENT)) {
    const clause = match[1] ?? '';
    // `export const x = 'text'` looks alike up to the string; what comes between tells them apart.
    if (clause.trim() !== '' && !/\bfrom\s*$/.test(match[0].slice(0, match[0].indexOf(match[2] ?? '')))) continue;
    const end = match.index + match[0].length - 1;
    const specifier = file.text.slice(end - (match[3]?.length ?? 0), end);
    imports.push({ specifier, names: namesIn(clause), typeOnly: /^\s*type\b/.test(clause), index: match.index });
  }
  for (const match of code.matchAll(CALL)) {
    const end = match.index + match[0].length - 1;
    const specifier = file.text.slice(end - (match[2]?.length ?? 0), end);
    imports.push({ specifier, names: undefined, typeOnly: false, index: match.index });
  }
  cache.set(file, imports);
  return imports;
}

function namesIn(clause: string): readonly string[] | undefined {
  const braces = /^\s*(?:type\s+)?\{([^}]*)\}\s*(?:from\s*)?$/.exec(clause);
  if (braces === null) return undefined;
  const parts = (braces[1] ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '').map((part) => part.replace(/^type\s+/, '').split(/\s+as\s+/)[0] ?? part);
}

/** The path of our own file that is meant, or undefined if the module is not ours. */
export function ownTarget(file: ProjectFile, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(file.path), specifier);
  if (specifier.startsWith('@fulmar/')) return `services/${specifier.slice('@fulmar/'.length)}`;
  return undefined;
}

/** `@scope/name` or `name` of `@scope/name/some/file.js`. */
export function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** The workspace folder that a path lies in: `services/broker`. */
export function workspaceOf(path: string): string | undefined {
  return /^services\/[^/]+(?=\/)/.exec(path)?.[0];
}
