// The shape of the code: how long, how it hangs together, and that every workspace names just what it uses.
import { builtinModules } from 'node:module';
import { withoutComments } from './blank.ts';
import { at, isTest, isWiring, type ProjectFile, typeScriptOf } from './files.ts';
import { type Import, importsOf, ownTarget, packageOf, workspaceOf } from './imports.ts';

/** 300 is the aim; a file that passes 500 does more than one thing. */
const LINES_MAX = 500;
const COLUMNS_MAX = 120;

export function longFileViolations(files: readonly ProjectFile[]): string[] {
  return typeScriptOf(files).flatMap((file) => {
    const lines = file.text.trimEnd().split('\n').length;
    return lines > LINES_MAX ? [`${file.path}: ${lines} lines, more than ${LINES_MAX}: split it by what it does`] : [];
  });
}

export function longLineViolations(files: readonly ProjectFile[]): string[] {
  const ours = files.filter((file) => /\.(ts|mjs|proto|sh)$|^scripts\/[^.]*$/.test(file.path));
  return ours.flatMap((file) =>
    file.text.split('\n').flatMap((line, index) => {
      const columns = [...line].length;
      return columns > COLUMNS_MAX ? [`${file.path}:${index + 1}: ${columns} columns, more than ${COLUMNS_MAX}`] : [];
    }),
  );
}

/** Each cycle of imports once, as the path that leads round it. Types may refer to each other: nothing loads them. */
export function cycleViolations(files: readonly ProjectFile[]): string[] {
  const graph = importGraph(files, ({ typeOnly }) => !typeOnly);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push([...trail.slice(start), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

/** Files that neither a service nor a test ever loads. */
export function unreachedViolations(files: readonly ProjectFile[]): string[] {
  const graph = importGraph(files);
  const isRoot = (path: string) => isWiring(path) || isTest(path) || !path.startsWith('services/');
  const reached = new Set([...graph.keys()].filter(isRoot));
  for (const path of reached) for (const next of graph.get(path) ?? []) reached.add(next);
  // What only declares types is read by the compiler, and never loaded.
  const lost = [...graph.keys()].filter((path) => !reached.has(path) && !path.endsWith('.d.ts'));
  return lost.map((path) => `${path}: no main.ts and no test leads here`);
}

/** An import of a file of ours that does not exist. */
export function danglingViolations(files: readonly ProjectFile[]): string[] {
  const paths = new Set(files.map((file) => file.path));
  return typeScriptOf(files).flatMap((file) =>
    importsOf(file).flatMap(({ specifier, index }) => {
      const target = ownTarget(file, specifier);
      return target === undefined || paths.has(target) ? [] : [at(file, index, `there is no ${target}`)];
    }),
  );
}

interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Each workspace names the packages that its files import, and no others. Tests may use what the root offers them. */
export function manifestViolations(files: readonly ProjectFile[]): string[] {
  const manifests = files.filter((file) => /^services\/[^/]+\/package\.json$/.test(file.path));
  const forTests = Object.keys(manifestIn(files, 'package.json').devDependencies ?? {});
  const own = new Set(manifests.map((manifest) => manifestIn(files, manifest.path).name ?? ''));
  return manifests.flatMap((manifest) => {
    const { name, dependencies = {}, devDependencies = {} } = manifestIn(files, manifest.path);
    const named = new Set([...Object.keys(dependencies), ...Object.keys(devDependencies)]);
    const needed = new Set<string>();
    const used = new Set<string>();
    for (const file of typeScriptOf(files)) {
      if (workspaceOf(file.path) !== workspaceOf(manifest.path)) continue;
      for (const { specifier } of importsOf(file)) {
        if (specifier.startsWith('.') || specifier.startsWith('node:') || builtinModules.includes(specifier)) continue;
        const wanted = packageOf(specifier);
        used.add(wanted);
        if (wanted === name) continue;
        if (!isTest(file.path) || !(forTests.includes(wanted) || own.has(wanted))) needed.add(wanted);
      }
    }
    return [
      ...[...needed]
        .filter((wanted) => !named.has(wanted))
        .map((wanted) => `${manifest.path}: does not name ${wanted}`),
      ...[...named].filter((wanted) => !used.has(wanted)).map((wanted) => `${manifest.path}: nothing uses ${wanted}`),
    ];
  });
}

/** Every rpc of a service definition is named in the code of some test, in either spelling. */
export function untestedRpcViolations(files: readonly ProjectFile[], proto: string): string[] {
  const definition = files.find((file) => file.path === proto);
  if (definition === undefined) return [`${proto}: there is no such file`];
  const tests = files
    .filter((file) => isTest(file.path) && file.path.endsWith('.ts'))
    .map(({ text }) => withoutComments(text));
  return [...definition.text.matchAll(/^\s*rpc\s+(\w+)/gm)].flatMap((match) => {
    const name = match[1] ?? '';
    const spelling = new RegExp(`\\b(?:${name}|${name.charAt(0).toLowerCase()}${name.slice(1)})\\b`);
    return tests.some((text) => spelling.test(text)) ? [] : [at(definition, match.index + 1, `no test names ${name}`)];
  });
}

function manifestIn(files: readonly ProjectFile[], path: string): Manifest {
  return JSON.parse(files.find((file) => file.path === path)?.text ?? '{}');
}

function importGraph(
  files: readonly ProjectFile[],
  counts: (found: Import) => boolean = () => true,
): Map<string, string[]> {
  return new Map(
    typeScriptOf(files).map((file) => {
      const targets = importsOf(file)
        .filter(counts)
        .map(({ specifier }) => ownTarget(file, specifier));
      return [file.path, targets.filter((target) => target !== undefined)];
    }),
  );
}
