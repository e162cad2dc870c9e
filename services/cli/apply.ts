// `fulmar apply`: brings topics and groups of a cluster to what a file says, for configuration that is kept beside the
// programs. The same again changes nothing, and nothing is ever deleted.

import { parseDuration } from '@fulmar/core/quantities.ts';
import { RpcFailure } from '@fulmar/runtime/rpc.ts';
import { type Command, type CommandContext, Refusal, UsageError } from './command.ts';
import { readDesired } from './desired.ts';
import { count } from './table.ts';
import { SETTABLE, TYPES } from './topics.ts';

interface ClusterStatus {
  readonly brokers: readonly { readonly set: string; readonly role: string; readonly writesRefused: string }[];
}

const LOOK_EVERY_MS = 1_000;

/** Resolves when each of the sets has a master that takes writes; a topic is made on the sets that are there. */
async function waitForSets({ proxy, pause }: CommandContext, sets: readonly string[], waitMs: number): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
    let missing = sets;
    let reason = 'no master that takes writes';
    try {
      const { brokers } = await proxy.admin<ClusterStatus>('GetClusterStatus', {});
      const writable = brokers.filter(({ role, writesRefused }) => role === 'master' && writesRefused === '');
      missing = sets.filter((name) => !writable.some(({ set }) => set === name));
      if (missing.length === 0) return;
    } catch (problem) {
      if (!(problem instanceof RpcFailure)) throw problem;
      if (waitedMs >= waitMs) throw problem;
      reason = problem.message;
    }
    if (waitedMs >= waitMs)
      throw new Refusal(`The broker sets ${missing.join(', ')} were not there in time: ${reason}.`);
    await pause(LOOK_EVERY_MS);
  }
}

function unreadable(problem: Error): never {
  throw new UsageError(`The file cannot be read: ${problem.message}`);
}

export const APPLY_COMMANDS: readonly Command[] = [
  {
    name: 'apply',
    text: 'Create the topics and groups of a JSON file, or change them to what it says. Deletes nothing.',
    positional: ['FILE'],
    flags: {
      sets: { value: 'A,B', text: 'Wait first until each of these broker sets takes writes.' },
      wait: { value: 'TIME', text: 'How long to wait for them: 30s, 5m. Default 1m.' },
    },
    example: 'fulmar apply cluster.json --sets set-0,set-1 --wait 5m',
    async run(context) {
      const { proxy, values, input, readFile } = context;
      const file = values.required('FILE');
      const bytes = file === '-' ? await input() : await readFile(file).catch(unreadable);
      const desired = readDesired(bytes.toString(), SETTABLE);
      const wait = values.text('wait') ?? '1m';
      const waitMs = parseDuration(wait);
      if (waitMs === undefined) throw new UsageError(`--wait cannot be "${wait}". Give a time with its unit: 30s, 5m.`);
      const sets = (values.text('sets') ?? '').split(',').filter((name) => name !== '');
      if (sets.length > 0) await waitForSets(context, sets, waitMs);
      for (const { type, ...topic } of desired.topics) {
        await proxy.admin('CreateTopic', { ...topic, type: TYPES.indexOf(type) });
      }
      for (const group of desired.groups) await proxy.admin('CreateGroup', group);
      const { topics, groups } = desired;
      const text = `${count(topics.length, 'topic')} and ${count(groups.length, 'group')} are as ${file} says.`;
      return { json: desired, text };
    },
  },
];
