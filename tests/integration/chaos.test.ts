// A short slice of `scripts/chaos`: real processes in networks and on disks of their own, official clients, a few
// faults, and the verdict over what the clients saw. Needs root on Linux; what else is missing, the failure says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { RunReport } from '../chaos/report.ts';
import { endAll, run, temporaryDirectory } from './commands.ts';

const FAULTS = ['kill-master', 'hand-over', 'cut-master', 'power-cut-one', 'kill-proxy'];
const SEED = process.env.FULMAR_SEED ?? '43';
const RUN_MS = 400_000;

afterEach(endAll, 60_000);

test(
  'over kills, partitions and power cuts nothing that was answered OK is lost, returned, doubled or out of order',
  async () => {
    const json = join(temporaryDirectory(), 'report.json');
    const flags = ['--replicas', '3', '--sets', '1', '--faults', FAULTS.join(','), '--seed', SEED, '--json', json];
    const { status, stdout, stderr } = await run('scripts/chaos', flags);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout, stderr });
    const { rounds, judgement } = JSON.parse(readFileSync(json, 'utf8')) as RunReport;
    expect(rounds.map(({ fault }) => fault).sort()).toEqual([...FAULTS].sort());
    expect(judgement.violations).toEqual([]);
    expect(judgement.acknowledged).toBeGreaterThan(1_000);
  },
  RUN_MS,
);
