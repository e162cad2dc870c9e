// `fulmar group reset`: sets a consumer group back or forward, or shows what that would do.
import { systemClock } from '@fulmar/runtime/clock.ts';
import { type Command, UsageError } from './command.ts';
import { momentOf } from './moment.ts';
import { count, table } from './table.ts';

interface QueueReset {
  readonly set: string;
  readonly topic: string;
  readonly queueId: number;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly inFlightMessages: number;
}

/** `now` is the same as `latest`: what is stored from now on. */
function targetOf(text: string, nowMs: number): Record<string, unknown> {
  if (text === 'earliest') return { earliest: true };
  if (text === 'latest' || text === 'now') return { latest: true };
  if (/^\d+$/.test(text)) return { offset: Number(text) };
  const timeMs = momentOf(text, nowMs);
  if (timeMs === undefined) {
    throw new UsageError(
      `--to cannot be "${text}". Give earliest, latest, now, 2h (that long ago), 2026-11-28T10:00:00Z, or an offset.`,
    );
  }
  return { timeMs };
}

function described(queues: readonly QueueReset[], dryRun: boolean): string {
  if (queues.length === 0) return 'The group reads no topic, so there is nothing to set back. Name one with --topic.';
  const again = queues.reduce((sum, { fromOffset, toOffset }) => sum + Math.max(0, fromOffset - toOffset), 0);
  const skipped = queues.reduce((sum, { fromOffset, toOffset }) => sum + Math.max(0, toOffset - fromOffset), 0);
  const inFlight = queues.reduce((sum, { inFlightMessages }) => sum + inFlightMessages, 0);
  // A priority topic has a queue for each priority, of which most hold nothing.
  const used = queues.filter((one) => one.fromOffset + one.toOffset + one.inFlightMessages > 0);
  const rows = (used.length > 0 ? used : queues).map((one) => [
    one.topic,
    one.set,
    one.queueId,
    one.fromOffset,
    one.toOffset,
    one.inFlightMessages,
  ]);
  const verb = dryRun ? 'would' : 'will';
  const words =
    `${count(again, 'message')} ${verb} come again, ${count(skipped, 'message')} ${dryRun ? 'would be' : 'were'} ` +
    `skipped, ${inFlight} under way ${dryRun ? 'would become' : 'became'} void.`;
  const end = dryRun ? 'Nothing was changed. Leave out --dry-run to do it.' : '';
  return [table(['topic', 'set', 'queue', 'from', 'to', 'in flight'], rows), words, end].filter(Boolean).join('\n\n');
}

export const RESET_COMMANDS: readonly Command[] = [
  {
    name: 'group reset',
    text: 'Set a group back or forward: what it consumes next.',
    positional: ['NAME'],
    flags: {
      topic: { value: 'NAME', text: 'Only in this topic. Default: in all that it reads.' },
      to: {
        value: 'WHERE',
        required: true,
        text: 'earliest, latest, now, a time (2h for "two hours ago", or 2026-11-28T10:00:00Z), or an offset.',
      },
      'dry-run': { text: 'Show what would happen, and change nothing.' },
    },
    example: 'fulmar group reset billing --topic orders --to 2h --dry-run',
    async run({ proxy, values }) {
      const dryRun = values.has('dry-run');
      const group = values.required('NAME');
      const request = {
        group,
        topic: values.text('topic') ?? '',
        ...targetOf(values.required('to'), systemClock.wallMs()),
        dryRun,
      };
      const { queues } = await proxy.admin<{ queues: QueueReset[] }>('ResetGroup', request);
      return { json: queues, text: described(queues, dryRun) };
    },
  },
];
