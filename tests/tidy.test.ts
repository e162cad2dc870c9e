// The rules of the code base, checked on every file of it. What a rule means stands in tests/tidy/; here each is
// applied to the project, and to made-up files that break it, because a rule that never says no is none.
import { describe, expect, test } from '@jest/globals';
import { codeOf, withoutComments } from './tidy/blank.ts';
import { type ProjectFile, readProject } from './tidy/files.ts';
import { importsOf } from './tidy/imports.ts';
import { layerViolations } from './tidy/layers.ts';
import { placesOfThisMachine, placeViolations } from './tidy/places.ts';
import * as shape from './tidy/shape.ts';
import * as words from './tidy/words.ts';

type Files = Readonly<Record<string, string>>;

interface Rule {
  readonly title: string;
  readonly violations: (files: readonly ProjectFile[]) => string[];
  /** Each of these sets of files breaks it, once. */
  readonly broken: readonly Files[];
  /** These look as if, and keep it. */
  readonly kept?: Files;
}

const SERVICE_PROTO = 'proto/apache/rocketmq/v2/service.proto';
const MADE_UP_PLACE = { text: ['', 'srv', 'here'].join('/'), what: 'a made-up place' };

const rules: readonly Rule[] = [
  {
    title: 'imports go one way',
    violations: layerViolations,
    broken: [
      { 'services/core/a.ts': "import { readFile } from 'node:fs/promises';" },
      { 'services/core/a.ts': "import { gunzip } from 'node:zlib';" },
      { 'services/core/a.ts': "import type { Server } from '@fulmar/runtime/grpc.ts';" },
      { 'services/core/a.ts': "import { server } from '../runtime/grpc.ts';" },
      { 'services/core/a.ts': "const pino = await import('pino');" },
      { 'services/broker/log/a.ts': "import { topics } from '../state/topics.ts';" },
      { 'services/broker/state/a.ts': "import { disk } from '@fulmar/runtime/disk.ts';" },
      { 'services/broker/replication/a.ts': "import { serve } from '../api/serve.ts';" },
      { 'services/nameserver/registry.ts': "import { disk } from '@fulmar/runtime/disk.ts';" },
      { 'services/nameserver/registry.ts': "export * from './main.ts';" },
      { 'services/proxy/api/a.ts': "import { status } from '@grpc/grpc-js';" },
      { 'services/proxy/api/a.ts': "import { append } from '@fulmar/broker/log/log.ts';" },
      { 'services/proxy/api/a.ts': "import { scripted } from '../testing/scripted.ts';" },
      { 'services/proxy/api/a.ts': "import { connect } from 'node:net';" },
      { 'services/runtime/a.ts': "import { append } from '@fulmar/broker/log/log.ts';" },
      { 'services/cli/a.ts': "import { readFile } from 'node:fs/promises';" },
      { 'services/proxy/program.ts': "import { readFile } from 'node:fs/promises';" },
      { 'services/unheard-of/a.ts': 'export const a = 1;' },
    ],
    kept: {
      'services/core/a.ts': "import { crc32 } from 'node:zlib';\nimport type { B } from './b.ts';",
      'services/broker/log/a.ts': "import { LIMITS } from '@fulmar/core/limits.ts';",
      'services/broker/log/a.test.ts': "import { tmpdir } from 'node:os';",
      'services/broker/main.ts': "import { pino } from 'pino';\nimport { createServer } from 'node:http';",
      'services/proxy/api/a.ts': "import { isIP } from 'node:net';\nimport { x } from '../cluster/routes.ts';",
      'services/proxy/api/b.ts': "// import { status } from '@grpc/grpc-js';",
      'services/runtime/a.ts': "import { Server } from '@grpc/grpc-js';\nimport * as fs from 'node:fs';",
      'services/cli/run.ts': "import { serve } from '@fulmar/broker/serve.ts';",
    },
  },
  {
    title: 'no import goes round in a circle',
    violations: shape.cycleViolations,
    broken: [
      {
        'services/core/a.ts': "import { b } from './b.ts';",
        'services/core/b.ts': "import { c } from '@fulmar/core/c.ts';",
        'services/core/c.ts': "export { a } from './a.ts';",
      },
    ],
    kept: {
      'services/core/a.ts': "import { b } from './b.ts';\nimport { c } from './c.ts';",
      'services/core/b.ts': "import { c } from './c.ts';",
      'services/core/c.ts': "import type { a } from './a.ts';\nexport const c = 1;",
    },
  },
  {
    title: 'every import of ours leads to a file',
    violations: shape.danglingViolations,
    broken: [{ 'services/core/a.ts': "import { b } from './b.ts';" }, { 'tests/a.ts': "import '@fulmar/core/b.ts';" }],
    kept: { 'services/core/a.ts': "import { b } from './b.ts';", 'services/core/b.ts': '' },
  },
  {
    title: 'every file is reached from a main.ts or a test',
    violations: shape.unreachedViolations,
    broken: [{ 'services/core/a.ts': 'export const a = 1;' }],
    kept: {
      'services/proxy/main.ts': "import '@fulmar/core/a.ts';",
      'services/core/a.ts': "export { b } from './b.ts';",
      'services/core/b.ts': 'export const b = 1;',
      'services/core/c.ts': 'export const c = 1;',
      'services/core/c.test.ts': "const { c } = await import('./c.ts');",
    },
  },
  {
    title: 'a workspace names the packages that its files import, and no others',
    violations: shape.manifestViolations,
    broken: [
      { 'services/core/package.json': '{"name":"@fulmar/core","dependencies":{"pino":"1"}}' },
      { 'services/core/package.json': '{"name":"@fulmar/core"}', 'services/core/a.ts': "import '@grpc/grpc-js/x.js';" },
      {
        'package.json': '{"devDependencies":{"jest":"1"}}',
        'services/core/package.json': '{"name":"@fulmar/core"}',
        'services/core/a.ts': "import 'jest';",
      },
    ],
    kept: {
      'package.json': '{"devDependencies":{"jest":"1"}}',
      'services/core/package.json': '{"name":"@fulmar/core","dependencies":{"pino":"1"}}',
      'services/core/a.ts': "import pino from 'pino';\nimport '@fulmar/core/b.ts';\nimport 'node:fs';",
      'services/core/a.test.ts': "import 'jest';\nimport '@fulmar/core/b.ts';",
    },
  },
  {
    title: 'time, chance and timers come through the ports',
    violations: words.outsideWorldViolations,
    broken: [
      { 'services/core/a.ts': 'const now = Date.now();' },
      { 'services/core/a.ts': 'const now = new Date();' },
      { 'services/core/a.ts': 'const now = performance.now();' },
      { 'services/broker/a.ts': 'const dice = Math.random();' },
      { 'services/broker/a.ts': 'const id = randomUUID();' },
      { 'services/proxy/a.ts': 'setTimeout(run, 10);' },
      { 'services/proxy/a.ts': `log(\`at \${Date.now()}\`);` },
      { 'services/cli/a.ts': 'process.nextTick(run);' },
      { 'tests/simulation/a.ts': 'setImmediate(run);' },
    ],
    kept: {
      'services/core/a.ts': "// not Date.now()\nconst text = 'Math.random()';\nconst date = new Date(clock.wallMs());",
      'services/core/b.ts': 'const pattern = /setTimeout(run)/;\nsimulated.setTimeout(1);',
      'services/runtime/clock.ts': 'const now = Date.now();',
      'services/broker/a.test.ts': 'setTimeout(run, 10);',
    },
  },
  {
    title: 'only main.ts and runtime read the environment',
    violations: words.environmentViolations,
    broken: [
      { 'services/broker/a.ts': 'const home = process.env.HOME;' },
      { 'services/cli/a.ts': 'const home = process.env.HOME;' },
    ],
    kept: {
      'services/broker/main.ts': 'run(process.env);',
      'services/runtime/a.ts': 'const { HOME } = process.env;',
    },
  },
  {
    title: 'services write to their log, and only the command line prints',
    violations: words.printingViolations,
    broken: [{ 'services/broker/a.ts': "console.log('x');" }],
    kept: { 'services/cli/a.ts': "console.log('x');" },
  },
  {
    title: 'types are not talked away',
    violations: words.untypedViolations,
    broken: [
      { 'services/core/a.ts': 'function f(x: any) {}' },
      { 'services/core/a.ts': 'const x = y as any;' },
      { 'services/core/a.ts': 'let x: Map<string, any>;' },
      { 'tests/a.test.ts': 'const x: any[] = [];' },
      { 'services/core/a.ts': 'const x = y as unknown as Z;' },
    ],
    kept: { 'services/core/a.ts': 'let any = 0;\nany |= 1;\nawait Promise.any(all);\nconst x: unknown = any;' },
  },
  {
    title: 'every test that is written is run',
    violations: words.notRunViolations,
    broken: [
      { 'tests/a.test.ts': "test.only('x', () => {});" },
      { 'tests/a.test.ts': "describe.skip('x', () => {});" },
      { 'tests/a.test.ts': "it.concurrent.only('x', () => {});" },
      { 'tests/a.test.ts': "xtest('x', () => {});" },
      { 'tests/a.test.ts': "test.todo('x');" },
    ],
    kept: { 'tests/a.test.ts': "reader.skip(4);\ntest.each([1])('x', () => {});" },
  },
  {
    title: 'nothing is marked as unfinished',
    violations: words.unfinishedViolations,
    broken: [{ 'docs/a.md': `TO${'DO'}: write this` }, { 'services/core/a.ts': `// FIX${'ME'}` }],
    kept: { 'scripts/a': 'mktemp -d /tmp/a.XXXXXX', 'package-lock.json': `"XX${'X'}"` },
  },
  {
    title: 'no file is longer than 500 lines',
    violations: shape.longFileViolations,
    broken: [{ 'services/core/a.ts': 'a;\n'.repeat(501) }],
    kept: { 'services/core/a.ts': 'a;\n'.repeat(500) },
  },
  {
    title: 'no line is longer than 120 columns',
    violations: shape.longLineViolations,
    broken: [{ 'services/core/a.ts': 'x'.repeat(121) }, { 'scripts/run': 'x'.repeat(121) }],
    kept: { 'services/core/a.ts': '…'.repeat(120), 'docs/a.md': 'x'.repeat(121) },
  },
  {
    title: 'nothing names a path of one machine or the host of a package registry',
    violations: (files) => placeViolations(files, [...placesOfThisMachine(), MADE_UP_PLACE]),
    broken: [
      { 'docs/a.md': `see ${MADE_UP_PLACE.text}/notes.md` },
      { 'docs/a.md': `see /${'root'}/notes.md` },
      { 'package-lock.json': `"https://${['registry', 'npmjs', 'org'].join('.')}/a"` },
    ],
    kept: { 'docs/a.md': `see ${MADE_UP_PLACE.text}after, and /usr/src/srv` },
  },
  {
    title: 'every rpc that clients may call is named in a test',
    violations: (files) => shape.untestedRpcViolations(files, SERVICE_PROTO),
    broken: [
      { [SERVICE_PROTO]: '  rpc MakeTea(A) returns (B) {}' },
      { [SERVICE_PROTO]: '  rpc MakeTea(A) returns (B) {}', 'tests/a.test.ts': '// makeTea is not tested' },
      { [SERVICE_PROTO]: '  rpc MakeTea(A) returns (B) {}', 'services/core/a.ts': 'makeTea();' },
    ],
    kept: {
      [SERVICE_PROTO]: '  rpc MakeTea(A) returns (B) {}\n  rpc Pour(A) returns (B) {}',
      'tests/a.test.ts': "await call('MakeTea');",
      'services/proxy/a.test.ts': 'await client.pour();',
    },
  },
];

const project = readProject();

function made(files: Files): ProjectFile[] {
  return Object.entries(files).map(([path, text]) => ({ path, text }));
}

describe('the project', () => {
  test.each(rules)('$title', ({ violations }) => {
    expect(violations(project)).toEqual([]);
  });
});

describe('the rule finds what breaks it, and nothing else', () => {
  test.each(rules)('$title', ({ violations, broken, kept = {} }) => {
    for (const files of broken) expect({ files, found: violations(made(files)).length }).toEqual({ files, found: 1 });
    expect(violations(made(kept))).toEqual([]);
  });
});

test('code is told from comments, strings, templates and regular expressions', () => {
  const source = `a('b'); // c
d(\`e \${f(\`g \${h}\`)} i\`); /* j */ k = /[/]l'/u.test(m) / n; o = "p\\"q";`;
  const code = `a('');\nd(\`\${f(\`\${h}\`)}\`);k=/.test(m)/n;o="";`;
  expect(codeOf(source).replaceAll(' ', '')).toBe(code);
  expect(withoutComments(source)).toBe(source.replace('// c', '    ').replace('/* j */', '       '));
});

test('imports are found in every form that they take, with what they name', () => {
  const text = [
    "import { type A, b as c } from './a.ts';",
    "import type {\n  D,\n  E,\n} from './b.ts';",
    "import * as f from './c.ts';",
    "import './d.ts';",
    "export { g } from './e.ts';",
    "export const h = 'import { x } from nowhere';",
    "const i = await import('./f.ts');",
  ].join('\n');
  expect(importsOf({ path: 'a.ts', text }).map(({ specifier, names }) => [specifier, names])).toEqual([
    ['./a.ts', ['A', 'b']],
    ['./b.ts', ['D', 'E']],
    ['./c.ts', undefined],
    ['./d.ts', undefined],
    ['./e.ts', ['g']],
    ['./f.ts', undefined],
  ]);
});
