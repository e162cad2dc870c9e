// The documentation is held to the code: pages made from tables are current, programs shown are files that tests run,
// links lead somewhere, and every command line that is shown is one that the program understands.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { BROKER_SETTINGS } from '@fulmar/broker/config.ts';
import { COMMON_FLAGS, parseArguments } from '@fulmar/cli/arguments.ts';
import { COMMANDS } from '@fulmar/cli/fulmar.ts';
import { RUN_SETTINGS } from '@fulmar/cli/run-settings.ts';
import { flagOf, readSettings, type SettingTable } from '@fulmar/core/config.ts';
import { NAMESERVER_SETTINGS } from '@fulmar/nameserver/config.ts';
import { PROXY_SETTINGS } from '@fulmar/proxy/config.ts';
import { describe, expect, test } from '@jest/globals';
import { generatedPages } from '../scripts/docs.ts';
import { type ProjectFile, ROOT, readProject } from './tidy/files.ts';

const SERVICES: Readonly<Record<string, SettingTable>> = {
  run: RUN_SETTINGS,
  nameserver: NAMESERVER_SETTINGS,
  broker: BROKER_SETTINGS,
  proxy: PROXY_SETTINGS,
};

const pages = readProject().filter(({ path }) => path.endsWith('.md'));
/** What users read, without the records of decisions and the notes of developers. */
const manual = pages.filter(({ path }) => path === 'README.md' || /^docs\/[^/]+\.md$/.test(path));

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The fenced blocks of a page. */
function blocksOf(text: string): string[] {
  return [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, block]) => block!);
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

/** Anchors as code hosts make them from headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)];
  return new Set(
    headings.map(([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function brokenLinks({ path, text }: ProjectFile): string[] {
  const links = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return links
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [file = '', anchor] = target.split('#');
      const at = file === '' ? path : normalize(join(dirname(path), file));
      if (at.startsWith('..') || !existsSync(join(ROOT, at))) return true;
      return anchor !== undefined && (!at.endsWith('.md') || !anchorsOf(read(at)).has(anchor));
    })
    .map((target) => `${path}: ${target}`);
}

/** The words of a command line as a shell sees them; what stands behind a pipe or an ampersand is not part of it. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/"([^"]*)"|'([^']*)'|([^\s"']+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain!,
  );
  const end = words.findIndex((word) => /^[|&;>#]/.test(word));
  return end < 0 ? words : words.slice(0, end);
}

/** Every line of a page that runs one of our scripts, as words without the script: `run` stands for scripts/run. */
function commandLinesOf(text: string): string[][] {
  const lines = [...text.matchAll(/^ *(?:\$ )?\.\/scripts\/(run|fulmar)\b(.*)$/gm)];
  return lines.map(([, script, rest]) => [...(script === 'run' ? ['run'] : []), ...wordsOf(rest!)]);
}

/** Why the program would not understand this command line; undefined if it does. */
function misunderstood(words: readonly string[]): string | undefined {
  const [first = '', ...rest] = words;
  // `broker` is a service when flags follow, and a family of commands when a word does.
  const isCommand = rest[0] !== undefined && !rest[0].startsWith('-');
  const service = Object.hasOwn(SERVICES, first) && !isCommand ? SERVICES[first] : undefined;
  if (first === '--help' || first === '--version' || (service !== undefined && rest.includes('--help'))) {
    return undefined;
  }
  const parsed =
    service === undefined
      ? parseArguments(COMMANDS, words)
      : readSettings(first, service, { environment: {}, flags: rest });
  return parsed.fault?.message;
}

/** Flags of our commands, services and scripts. */
function knownFlags(): Set<string> {
  const flags = new Set(['--help', '--version', '--config', '--flag', '--no-flag']);
  for (const name of Object.keys(COMMON_FLAGS)) flags.add(`--${name}`);
  for (const command of COMMANDS) for (const name of Object.keys(command.flags)) flags.add(`--${name}`);
  for (const table of Object.values(SERVICES)) {
    for (const [key, row] of Object.entries(table)) {
      flags.add(flagOf(key));
      if (row.type === 'switch') flags.add(flagOf(key).replace('--', '--no-'));
    }
  }
  for (const directory of ['scripts', 'tests/bench', 'tests/chaos', 'tests/kubernetes', 'tests/simulation']) {
    for (const name of readdirSync(join(ROOT, directory))) {
      const path = join(directory, name);
      if (path === 'scripts/docs.ts' || !statSync(join(ROOT, path)).isFile()) continue;
      for (const [flag] of read(path).matchAll(/(?<![\w-])--[a-z][a-z-]*\w/g)) flags.add(flag);
    }
  }
  return flags;
}

function flagsIn(text: string): string[] {
  return [...text.matchAll(/(?<![\w<!-])--[a-z][a-z-]*\w/g)].map(([flag]) => flag);
}

describe('pages made from tables', () => {
  test.each([...generatedPages()])('%s is what `node scripts/docs.ts` writes', (path, text) => {
    expect(read(path)).toBe(text);
  });

  test('a setting that is added to a table gets a row', () => {
    const page = generatedPages().get('docs/configuration.md')!;
    for (const [service, table] of Object.entries(SERVICES)) {
      const section = page.split(`\n## ${service}\n`)[1]!.split('\n## ')[0]!;
      expect(section.match(/^\| `--/gm)).toHaveLength(Object.keys(table).length);
    }
  });
});

describe('what the README shows', () => {
  test.each(['java/snippet.java', 'go/snippet.go', 'python/snippet.py', 'node/snippet.mjs'])(
    'has the program %s word for word',
    (name) => {
      expect(blocksOf(read('README.md'))).toContain(read(`tests/clients/${name}`));
    },
  );
});

describe('links', () => {
  test('every link between files leads to a file, and to a heading of it', () => {
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  test('a broken one is found', () => {
    const text = '[a](nowhere.md) [b](README.md#licence) [c](README.md#nothing) `[d](e.md)` [f](https://example.org)';
    expect(brokenLinks({ path: 'a.md', text })).toEqual(['a.md: nowhere.md', 'a.md: README.md#nothing']);
  });

  test('every page of docs/ is in its index', () => {
    const index = read('docs/README.md');
    const missing = readdirSync(join(ROOT, 'docs')).filter(
      (name) => name.endsWith('.md') && name !== 'README.md' && !index.includes(`](${name})`),
    );
    expect(missing).toEqual([]);
  });
});

describe('command lines', () => {
  test('every one that is shown is understood', () => {
    const wrong = manual.flatMap(({ path, text }) =>
      commandLinesOf(text).flatMap((words) => {
        const reason = misunderstood(words);
        return reason === undefined ? [] : [`${path}: ${words.join(' ')}: ${reason}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('one that is not understood is found', () => {
    const text =
      '    $ ./scripts/fulmar topic lst\n./scripts/run --proxy-prot 1\n./scripts/fulmar send a "b c" | cat\n';
    expect(commandLinesOf(text).map((words) => misunderstood(words) !== undefined)).toEqual([true, true, false]);
  });

  test('every command has a section in docs/cli.md, with an example', () => {
    const page = read('docs/cli.md');
    const lines = commandLinesOf(page).map((words) => words.join(' '));
    const undocumented = COMMANDS.filter(
      ({ name }) => !page.includes(`\n## ${name}\n`) || !lines.some((line) => line.startsWith(name)),
    );
    expect(undocumented.map(({ name }) => name)).toEqual([]);
  });

  test('every flag that is mentioned exists', () => {
    const known = knownFlags();
    const unknown = manual.flatMap(({ path, text }) =>
      flagsIn(text)
        .filter((flag) => !known.has(flag))
        .map((flag) => `${path}: ${flag}`),
    );
    expect(unknown).toEqual([]);
  });

  test('every command that is mentioned exists', () => {
    const heads = new Set([...COMMANDS.map(({ name }) => name.split(' ')[0]!), ...Object.keys(SERVICES)]);
    const families = new Set(COMMANDS.filter(({ name }) => name.includes(' ')).map(({ name }) => name.split(' ')[0]!));
    const names = new Set(COMMANDS.map(({ name }) => name));
    const unknown = manual.flatMap(({ path, text }) =>
      [...text.matchAll(/`(?:\.\/scripts\/)?fulmar ([a-z][^`\n]*)`/g)]
        .map(([, command]) => wordsOf(command!))
        .filter(
          ([head = '', second = '']) =>
            !heads.has(head) ||
            (families.has(head) &&
              !(Object.hasOwn(SERVICES, head) && (second === '' || second.startsWith('-'))) &&
              !names.has(`${head} ${second}`)),
        )
        .map((words) => `${path}: ${words.join(' ')}`),
    );
    expect(unknown).toEqual([]);
  });
});
