// Sums up what scripts/test has run: reads DIRECTORY/runs (a line each: kind, name, exit status) and the report that
// each run of Jest has left beside it, names what failed, and ends with the line `N passed, N failed`.
//
// It counts in favour of the doubt: a run of Jest that crashed, a test file that could not be loaded, and a test that
// was skipped are failures, and so is a run without a single test.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Run {
  readonly kind: 'check' | 'jest';
  readonly name: string;
  readonly exitStatus: number;
  /** What Jest wrote; undefined if it wrote nothing. */
  readonly report?: JestReport | undefined;
}

/** The part of Jest's JSON report that matters here. */
export interface JestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export interface Summary {
  readonly passed: number;
  readonly failures: readonly string[];
}

export function summarise(runs: readonly Run[]): Summary {
  let passed = 0;
  const failures: string[] = [];
  for (const run of runs) {
    if (run.kind === 'check') {
      if (run.exitStatus === 0) passed += 1;
      else failures.push(run.name);
      continue;
    }
    const before = failures.length;
    const passedInRun = addJestRun(run, failures);
    passed += passedInRun;
    if (failures.length > before) continue;
    if (run.exitStatus !== 0) failures.push(`${run.name}: Jest ended with status ${run.exitStatus}`);
    else if (passedInRun === 0) failures.push(`${run.name}: there was no test`);
  }
  return { passed, failures };
}

function addJestRun(run: Run, failures: string[]): number {
  if (run.report === undefined) {
    failures.push(`${run.name}: Jest left no report (status ${run.exitStatus})`);
    return 0;
  }
  let passed = 0;
  for (const file of run.report.testResults) {
    const before = failures.length;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else failures.push(`${test.fullName}${test.status === 'failed' ? '' : ` (${test.status})`} in ${file.name}`);
    }
    if (file.status !== 'passed' && failures.length === before) failures.push(`${file.name} as a whole`);
  }
  return passed;
}

export function lastLine(summary: Summary): string {
  return `${summary.passed} passed, ${summary.failures.length} failed`;
}

function readRuns(directory: string): Run[] {
  const lines = readFileSync(join(directory, 'runs'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [kind, name = '', exitStatus] = line.split('\t');
    if (kind !== 'jest') return { kind: 'check', name, exitStatus: Number(exitStatus) };
    return { kind, name, exitStatus: Number(exitStatus), report: readReport(join(directory, `${name}.json`)) };
  });
}

function readReport(path: string): JestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const summary = summarise(readRuns(process.argv[2] ?? '.'));
  for (const failure of summary.failures) console.log(`failed: ${failure}`);
  console.log(`\n${lastLine(summary)}`);
  process.exitCode = summary.failures.length === 0 ? 0 : 1;
}
