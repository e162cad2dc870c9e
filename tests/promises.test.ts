// What the documentation promises by the name of a test, some test is there to keep: the tables of tests/promises name
// files and titles that exist, and every RPC of the official protos has its row.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { describe, expect, test } from '@jest/globals';
import { CLIENT_FEATURES } from './promises/client-features.ts';
import { COMPLAINTS } from './promises/complaints.ts';
import type { Kept } from './promises/promise.ts';
import { RPCS } from './promises/rpcs.ts';
import { ROOT } from './tidy/files.ts';

/** Where a title begins: behind the quote, or behind what `test.each` puts before it. */
function isTitleIn(text: string, title: string): boolean {
  return [`'${title}'`, `${title}\``, `\`${title}`, `"${title}"`].some((quoted) => text.includes(quoted));
}

function missing(promises: readonly Kept[]): string[] {
  return promises
    .filter(({ file, title }) => {
      const path = join(ROOT, file);
      return !existsSync(path) || !isTitleIn(readFileSync(path, 'utf8'), title);
    })
    .map(({ file, title }) => `${file}: ${title}`);
}

describe('every RPC of the official protos', () => {
  test.each(Object.keys(RPCS))('of %s has one row in the table, and no other has', (service) => {
    expect(RPCS[service]!.map(({ rpc }) => rpc).sort()).toEqual(Object.keys(serviceDefinition(service)).sort());
  });

  test('is tested where the table says', () => {
    const rows = Object.values(RPCS).flat();
    expect(rows.filter(({ tests }) => tests.length === 0)).toEqual([]);
    expect(missing(rows.flatMap(({ tests }) => tests))).toEqual([]);
  });
});

test('every feature that the table of clients shows is tested where it says', () => {
  expect(missing(CLIENT_FEATURES.map((row) => row.test))).toEqual([]);
});

describe('every complaint', () => {
  const complaints = Object.values(COMPLAINTS).flat();

  test('has a test whose title says that it cannot happen here', () => {
    expect(complaints.filter(({ tests }) => tests.length === 0)).toEqual([]);
    expect(missing(complaints.flatMap(({ tests }) => tests))).toEqual([]);
  });

  test('names where it was reported', () => {
    const odd = complaints.flatMap(({ reports }) => reports).filter((report) => !/^[\w-]+\/[\w-]+#\d+$/.test(report));
    expect(odd).toEqual([]);
    expect(complaints.filter(({ reports }) => reports.length === 0)).toEqual([]);
  });
});

test('a title that no test has is found', () => {
  const [row] = RPCS['apache.rocketmq.v2.Admin']!;
  const { file, title } = row!.tests[0]!;
  expect(
    missing([
      { file, title: `${title} and more` },
      { file: 'tests/nowhere.test.ts', title },
    ]),
  ).toHaveLength(2);
});
