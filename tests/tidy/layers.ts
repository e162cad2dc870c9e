// Who may import whom: architecture as data. Think twice before giving a row more than it has: as long as the core
// and the machines of the broker can reach neither disk nor network nor clock, a whole cluster runs in one process,
// repeatably, from a seed.
import { at, isTest, isWiring, type ProjectFile, typeScriptOf } from './files.ts';
import { importsOf, ownTarget, workspaceOf } from './imports.ts';

interface Layer {
  readonly name: string;
  readonly files: RegExp | { readonly test: typeof isWiring };
  /** Which of our own files it may import. */
  readonly own: readonly RegExp[];
  /** Modules of Node, and which of their names. */
  readonly node: Readonly<Record<string, readonly string[] | 'all'>> | 'all';
  /** Packages of others. */
  readonly packages: 'none' | 'all';
}

const core = /^services\/core\//;
const runtime = /^services\/runtime\//;
/** What the log promises, not how it does it. */
const logInterface = /^services\/broker\/log\/log\.ts$/;
const registry = /^services\/nameserver\/(registry|replicas|topic-table|watchers|name-service)\.ts$/;

/** Functions of Node that only calculate. */
const calculates = {
  'node:buffer': ['Buffer', 'isUtf8', 'isAscii', 'constants', 'transcode'],
  'node:crypto': ['hash', 'createHash', 'createHmac', 'timingSafeEqual'],
  'node:zlib': ['crc32'],
} as const;

/** The same for services, which deal with addresses and text as well. */
const calculatesMore = {
  ...calculates,
  'node:net': ['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress'],
  'node:path': 'all',
  'node:url': 'all',
  'node:util': 'all',
} as const;

/** The first row that fits a file counts. */
const LAYERS: readonly Layer[] = [
  { name: 'wiring', files: { test: isWiring }, own: [/^services\//], node: 'all', packages: 'all' },
  { name: 'core', files: core, own: [core], node: calculates, packages: 'none' },
  { name: 'runtime', files: runtime, own: [runtime, core], node: 'all', packages: 'all' },
  ...['log', 'state', 'replication'].map((part): Layer => {
    const files = new RegExp(`^services/broker/${part}/`);
    const own = part === 'replication' ? [files, core, logInterface] : [files, core];
    return { name: `broker/${part}`, files, own, node: calculates, packages: 'none' };
  }),
  { name: 'registry of the nameserver', files: registry, own: [registry, core], node: calculates, packages: 'none' },
  ...['nameserver', 'broker', 'proxy', 'console'].map((name): Layer => {
    const files = new RegExp(`^services/${name}/`);
    const own = [new RegExp(`^services/${name}/(?!main\\.ts$)`), core, runtime];
    return { name, files, own, node: calculatesMore, packages: 'none' };
  }),
  {
    name: 'cli',
    files: /^services\/cli\//,
    own: [/^services\//],
    node: { ...calculatesMore, 'node:os': 'all', 'node:readline': 'all', 'node:readline/promises': 'all' },
    packages: 'none',
  },
];

export function layerViolations(files: readonly ProjectFile[]): string[] {
  return typeScriptOf(files)
    .filter((file) => file.path.startsWith('services/') && !isTest(file.path))
    .flatMap((file) => {
      const layer = LAYERS.find((candidate) => candidate.files.test(file.path));
      if (layer === undefined) return [`${file.path}: belongs to no layer; give it a row in tests/tidy/layers.ts`];
      return importsOf(file).flatMap((found) => {
        const reason = reasonAgainst(layer, file, found.specifier, found.names);
        return reason === undefined ? [] : [at(file, found.index, reason)];
      });
    });
}

function reasonAgainst(
  layer: Layer,
  file: ProjectFile,
  specifier: string,
  names: readonly string[] | undefined,
): string | undefined {
  const target = ownTarget(file, specifier);
  if (target !== undefined) {
    if (specifier.startsWith('.') && workspaceOf(target) !== workspaceOf(file.path))
      return `${specifier} leaves the workspace; import it by the name of its package`;
    if (isTest(target)) return `${specifier} is for tests only`;
    return layer.own.some((pattern) => pattern.test(target)) ? undefined : `${layer.name} may not import ${specifier}`;
  }
  if (!specifier.startsWith('node:')) {
    return layer.packages === 'all'
      ? undefined
      : `${layer.name} may not import ${specifier}; services/runtime wraps it`;
  }
  if (layer.node === 'all') return undefined;
  const allowed = layer.node[specifier];
  if (allowed === undefined) return `${layer.name} may not import ${specifier}; see core/ports.ts and services/runtime`;
  if (allowed === 'all' || names?.every((name) => allowed.includes(name))) return undefined;
  return `of ${specifier} ${layer.name} may import only { ${allowed.join(', ')} }`;
}
