// The parts of the run on Kubernetes that can be judged without a cluster.
import { describe, expect, test } from '@jest/globals';
import { accidentsOf, isReady, isRolledOut, type Pod, type Workload } from './kubectl.ts';
import { commandsIn } from './notes.ts';
import { type Options, readOptions } from './options.ts';
import { describe as describeReport, isGood, type RunReport } from './report.ts';

const THREE_NODES = { nodes: 3, canEndNodes: true };
const ONE_NODE = { nodes: 1, canEndNodes: false };

function options(words: readonly string[], around = THREE_NODES): Options {
  const read = readOptions(words, around);
  if (typeof read === 'string') throw new Error(read);
  return read;
}

describe('what is played', () => {
  test('everything that fits is, and what does not is named with its reason', () => {
    expect(Object.keys(options([]).unfit)).toEqual([]);
    expect(options([]).faults[0]!.name).toBe('grow-set');
    const onOne = options([], ONE_NODE);
    expect(Object.keys(onOne.unfit)).toEqual(['kill-node', 'cut-node']);
    expect(onOne.faults.some(({ needsNodes }) => needsNodes !== undefined)).toBe(false);
  });

  test('a short run needs one node only, and leaves nothing out', () => {
    const quick = options(['--quick'], ONE_NODE);
    expect(quick.unfit).toEqual({});
    expect(quick.faults.length).toBeGreaterThan(2);
  });

  test.each([
    [['--faults', 'kill-mistress'], 'There is no fault "kill-mistress"'],
    [['--faults', 'kill-master,grow-set'], 'as the first'],
    [['--seed', 'x'], '--seed cannot be "x"'],
    [['--fast'], '--fast'],
  ])('%j is refused with a sentence', (words, sentence) => {
    expect(readOptions(words, THREE_NODES)).toContain(sentence);
  });
});

const pod = (status: Partial<Pod['status']>, deletionTimestamp?: string): Pod => ({
  metadata: { name: 'a-0', labels: {}, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
  spec: {},
  status: { phase: 'Running', ...status },
});

const ended = (reason: string, exitCode: number): Partial<Pod['status']> => ({
  containerStatuses: [{ restartCount: 1, lastState: { terminated: { reason, exitCode } } }],
});

test('the commands that helm prints are those that are indented', () => {
  const notes = 'See:\n\n  helm test mq\n  kubectl get pods\n\n- kubectl is a program\n  an address:8081\n';
  expect(commandsIn(notes)).toEqual(['helm test mq', 'kubectl get pods']);
});

describe('when all is in order', () => {
  test('a pod is ready when it says so and is not being deleted', () => {
    const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
    expect(isReady(pod(ready))).toBe(true);
    expect(isReady(pod(ready, '2026-01-01T00:00:00Z'))).toBe(false);
    expect(isReady(pod({ conditions: [{ type: 'Ready', status: 'False' }] }))).toBe(false);
    expect(isReady(pod({}))).toBe(false);
  });

  test('a workload is when every pod is of the newest kind and ready', () => {
    const whole = { observedGeneration: 2, replicas: 3, readyReplicas: 3, updatedReplicas: 3 };
    const workload = (status: object): Workload => ({
      kind: 'StatefulSet',
      metadata: { name: 'a', generation: 2 },
      spec: { replicas: 3 },
      status: { ...whole, ...status },
    });
    expect(isRolledOut(workload({}))).toBe(true);
    for (const status of [{ observedGeneration: 1 }, { readyReplicas: 2 }, { updatedReplicas: 2 }, { replicas: 4 }]) {
      expect(isRolledOut(workload(status))).toBe(false);
    }
  });

  test('a container that ran out of memory or ended by itself is an accident, one that was stopped is none', () => {
    expect(accidentsOf(pod(ended('OOMKilled', 137)))).toEqual(['a-0 ended with OOMKilled 137, start 2']);
    expect(accidentsOf(pod(ended('Error', 1)))).toHaveLength(1);
    for (const status of [ended('Completed', 0), ended('Error', 137), ended('Unknown', 255), {}]) {
      expect(accidentsOf(pod(status))).toEqual([]);
    }
  });
});

describe('the verdict', () => {
  const repeated = { 'lease ran out': 0, refused: 0, fault: 0, late: 0, 'two sets': 0 };
  const judgement = {
    ...{ violations: [], sent: 2, acknowledged: 2, unknown: 0, unknownStored: 0, delivered: 2 },
    ...{ repeated, repeatedAtMs: [], inTwoSets: 0 },
  };
  const round = { fault: 'kill-master', set: 'a', fromMs: 0, toMs: 9, gapsMs: [7], otherGapsMs: [], refusals: {} };
  const good: RunReport = {
    ...{
      seed: 1,
      scraping: { pods: 5, queries: 9, problems: [] },
      commit: 'c',
      nodes: 1,
      installMs: 1,
      helmTestMs: 1,
      clients: [],
      strangers: [],
      notes: [],
      unfit: {},
    },
    ...{ rounds: [round], judgement, probesAcknowledged: 5, probesStored: 6 },
    ...{ idleMiB: { broker: [80, 90] }, loadedMiB: { broker: [100] }, accidents: [] },
  };

  test('a run is good when nothing at all was wrong', () => {
    expect(isGood(good)).toBe(true);
    expect(describeReport(good)).toContain('seed 1: 0 problems in 1 rounds');
    expect(describeReport(good)).toContain('broker 90 MiB');
  });

  const lost = { verdict: 'lost', key: 'k', text: 'never came' } as const;
  test.each<[string, Partial<RunReport>]>([
    ['a message is lost', { judgement: { ...judgement, violations: [lost] } }],
    ['a probe is lost', { probesStored: 4 }],
    ['a round had a problem', { rounds: [{ ...round, problem: 'it did not come back' }] }],
    ['a client failed', { clients: [{ client: 'go', where: 'in a pod', milliseconds: 1, problem: 'it said no' }] }],
    ['a command that helm prints fails', { notes: ['it says no'] }],
    ['a stranger was let in', { strangers: ['a port listened'] }],
    ['a container ran out of memory', { accidents: ['a-0 ended with OOMKilled 137'] }],
  ])('it is not when %s', (_, part) => {
    expect(isGood({ ...good, ...part })).toBe(false);
    expect(describeReport({ ...good, ...part })).toContain('PROBLEM');
  });
});
