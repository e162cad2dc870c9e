// Traces of one machine or one network: paths of the checkout and what lies beside it, homes of people, hosts of
// package registries. The patterns are derived from where the test runs, so that it says nothing itself.
import { existsSync, readdirSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { at, type ProjectFile, ROOT } from './files.ts';

export interface Place {
  /** Exact text that must not occur. */
  readonly text: string;
  readonly what: string;
}

export function placesOfThisMachine(root: string = ROOT): Place[] {
  const places: Place[] = [];
  const add = (text: string, what: string) => {
    if (text.length > 0 && !places.some((place) => place.text === text)) places.push({ text, what });
  };
  if (depthOf(root) > 1) {
    add(root, 'the path of a checkout');
    const parent = dirname(root);
    const siblings = existsSync(parent) ? readdirSync(parent) : [];
    for (const sibling of siblings) add(join(parent, sibling), 'a path of somebody’s machine');
  }
  if (depthOf(homedir()) > 1) add(`${homedir()}/`, 'a path of somebody’s machine');
  const node = dirname(dirname(process.execPath));
  if (depthOf(node) > 1 && !node.startsWith('/usr/')) add(`${node}/`, 'a path of somebody’s machine');
  if (/[.-]/.test(hostname()) && !hostname().startsWith('localhost')) add(hostname(), 'the name of a machine');
  for (const home of [
    ['', 'root', ''],
    ['', 'Users', ''],
  ])
    add(home.join('/'), 'a path of somebody’s machine');
  for (const host of registryHosts()) add(host, 'the host of a package registry');
  return places;
}

export function placeViolations(files: readonly ProjectFile[], places: readonly Place[]): string[] {
  return files.flatMap((file) =>
    places.flatMap(({ text, what }) => {
      const index = indexOfWord(file.text, text);
      return index < 0 ? [] : [at(file, index, `names ${what}`)];
    }),
  );
}

/** Where `word` stands without being part of a longer name. */
function indexOfWord(text: string, word: string): number {
  for (let index = text.indexOf(word); index >= 0; index = text.indexOf(word, index + 1)) {
    const before = text[index - 1] ?? ' ';
    const after = text[index + word.length] ?? ' ';
    if (!/[\w-]/.test(before) && (word.endsWith('/') || !/[\w-]/.test(after))) return index;
  }
  return -1;
}

/** The public ones, and those that this machine has been set up to use. */
function registryHosts(): string[] {
  const known = [
    'registry npmjs org',
    'registry yarnpkg com',
    'pypi org',
    'files pythonhosted org',
    'proxy golang org',
  ];
  known.push('sum golang org', 'index crates io', 'static crates io', 'repo maven apache org', 'repo1 maven org');
  const hosts = known.map((words) => words.replaceAll(' ', '.'));
  for (const [name, value = ''] of Object.entries(process.env)) {
    if (!/registry|proxy|index_url|mirror/i.test(name)) continue;
    for (const match of value.matchAll(/https?:\/\/(?:[^/@\s]*@)?([^/:\s,|]+)/g)) hosts.push(match[1] ?? '');
  }
  return hosts.filter((host) => /[a-z]\.[a-z]/i.test(host));
}

function depthOf(path: string): number {
  return path.split('/').filter((part) => part !== '').length;
}
