// The sum at the end of scripts/test is what people and machines trust; these are its promises.
import { expect, test } from '@jest/globals';
import { type JestReport, lastLine, type Run, summarise } from '../scripts/test-summary.ts';

function report(...tests: readonly (readonly [title: string, status: string])[]): JestReport {
  const status = tests.some(([, state]) => state === 'failed') ? 'failed' : 'passed';
  const assertionResults = tests.map(([fullName, state]) => ({ fullName, status: state }));
  return { testResults: [{ name: 'some.test.ts', status, message: '', assertionResults }] };
}

function jestRun(run: Partial<Run>): Run {
  return { kind: 'jest', name: 'unit', exitStatus: 0, ...run };
}

test('checks and tests are summed over all runs', () => {
  const summary = summarise([
    { kind: 'check', name: 'type check', exitStatus: 0 },
    jestRun({ report: report(['one', 'passed'], ['two', 'passed']) }),
    jestRun({ report: report(['three', 'passed'], ['four', 'failed']), exitStatus: 1 }),
  ]);
  expect(lastLine(summary)).toBe('4 passed, 1 failed');
  expect(summary.failures).toEqual(['four in some.test.ts']);
});

test('a check that ends with any other status than 0 has failed', () => {
  expect(lastLine(summarise([{ kind: 'check', name: 'format and lint', exitStatus: 2 }]))).toBe('0 passed, 1 failed');
});

test('a skipped test is a failure', () => {
  const summary = summarise([jestRun({ report: report(['one', 'passed'], ['two', 'pending']) })]);
  expect(summary.failures).toEqual(['two (pending) in some.test.ts']);
});

test('a test file that could not be loaded is a failure', () => {
  const broken = { testResults: [{ name: 'bad.test.ts', status: 'failed', message: '', assertionResults: [] }] };
  expect(summarise([jestRun({ report: broken, exitStatus: 1 })]).failures).toEqual(['bad.test.ts as a whole']);
});

test('a run of Jest that crashed, or that failed although every test passed, is a failure', () => {
  expect(summarise([jestRun({ exitStatus: 134 })]).failures).toHaveLength(1);
  expect(summarise([jestRun({ report: report(['one', 'passed']), exitStatus: 1 })]).failures).toHaveLength(1);
});

test('a run without a single test is a failure', () => {
  expect(summarise([jestRun({ report: { testResults: [] } })]).failures).toEqual(['unit: there was no test']);
});
