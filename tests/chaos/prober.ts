// How long a broker set took no writes: the longest time between two answers OK to its prober around a fault.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setsInOrder } from '@fulmar/proxy/api/shipments.ts';
import { OK } from '../integration/support/messaging.ts';
import { linesOf, nowMs, until } from './machine.ts';
import { plainEnvironment } from './processes.ts';

interface Probe {
  readonly atMs: number;
  readonly sentMs: number;
  readonly code: number;
  readonly text?: string;
}

const FRESH_MS = 500;
const PATIENCE_MS = 60_000;

export class Prober {
  readonly set: string;
  private readonly file: string;
  private readonly child: ChildProcess;

  /** `sets`: all sets of the cluster, in the order of their names, of which the topic has a share in each. */
  constructor(set: string, sets: readonly string[], topic: string, endpoints: readonly string[], directory: string) {
    this.set = set;
    this.file = join(directory, `prober-${set}.jsonl`);
    const output = openSync(this.file, 'w');
    const words = [join(import.meta.dirname, 'prober-process.ts'), topic, messageGroupFor(set, sets), ...endpoints];
    this.child = spawn(process.execPath, words, { stdio: ['ignore', output, output], env: plainEnvironment() });
    closeSync(output);
  }

  /** Waits until the set has just taken a write that was sent after `sinceMs`. */
  async isWritten(sinceMs = nowMs()): Promise<void> {
    await until(`${this.set} takes writes`, PATIENCE_MS, () =>
      this.probes(50).some(({ code, sentMs }) => code === OK && sentMs >= sinceMs && sentMs >= nowMs() - FRESH_MS),
    );
  }

  /** The longest time without an answer OK that overlaps the window. */
  longestGapMs(fromMs: number, toMs: number): number {
    let longest = 0;
    let before: number | undefined;
    for (const { atMs, code } of this.probes()) {
      if (code !== OK) continue;
      if (before !== undefined && atMs >= fromMs && before <= toMs) longest = Math.max(longest, atMs - before);
      before = atMs;
    }
    if (before !== undefined && before < toMs) longest = Math.max(longest, toMs - Math.max(before, fromMs));
    return Math.round(longest);
  }

  /** What the set answered instead of OK, and how often. */
  refusals(fromMs: number, toMs: number): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { atMs, code, text = '' } of this.probes()) {
      if (code === OK || atMs < fromMs || atMs > toMs) continue;
      const what = `${code} ${text}`;
      counts[what] = (counts[what] ?? 0) + 1;
    }
    return counts;
  }

  /** Answers OK in all: as many messages of the prober must be in the log at least. */
  acknowledged(): number {
    return this.probes().filter(({ code }) => code === OK).length;
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }

  private probes(last?: number): Probe[] {
    const lines = linesOf(this.file).filter((line) => line.startsWith('{') && line.endsWith('}'));
    return (last === undefined ? lines : lines.slice(-last)).map((line) => JSON.parse(line) as Probe);
  }
}

/** A message group that the proxies bring to this set. */
function messageGroupFor(set: string, sets: readonly string[]): string {
  for (let number = 0; ; number++) {
    const group = `prober-${number}`;
    if (setsInOrder(sets, `group ${group}`)[0] === set) return group;
  }
}
