// Plays faults one after the other on a release under traffic, and measures how long writes rested. What was wrong in a
// round is a sentence, and the run goes on if everything came back into order.
import { nowMs, pause } from '../chaos/machine.ts';
import type { Prober } from '../chaos/prober.ts';
import type { SeededRandom } from '../simulation/random.ts';
import type { Fault } from './faults.ts';
import type { NodeTool } from './nodes.ts';
import type { Release } from './release.ts';

export interface Round {
  readonly fault: string;
  readonly set: string;
  readonly fromMs: number;
  /** When every pod was ready again, every replica in sync and every set written. */
  readonly toMs: number;
  /** Longest time without a write answered OK, in each set that was hit. */
  readonly gapsMs: readonly number[];
  /** The same for the sets that should not have noticed. */
  readonly otherGapsMs: readonly number[];
  /** What the probers got instead of OK. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly problem?: string;
}

const REST_MS = 3_000;

/** The sums of what the probers got, without the times and addresses that the gRPC library adds to its sentences. */
function inShort(all: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [text, count] of all.flatMap((each) => Object.entries(each))) {
    const what = text.replace(/(Deadline exceeded|No connection established).*/, '$1');
    sums[what] = (sums[what] ?? 0) + count;
  }
  return sums;
}

export class Rounds {
  readonly played: Round[] = [];
  /** Seen after some round; a pod that is deleted later takes its story along. */
  readonly accidents = new Set<string>();
  private readonly release: Release;
  private readonly probers: readonly Prober[];
  private readonly nodes: NodeTool | undefined;
  private readonly random: SeededRandom;
  private readonly tell: (text: string) => void;

  constructor(
    release: Release,
    probers: readonly Prober[],
    nodes: NodeTool | undefined,
    random: SeededRandom,
    tell: (text: string) => void,
  ) {
    this.release = release;
    this.probers = probers;
    this.nodes = nodes;
    this.random = random;
    this.tell = tell;
  }

  /** False when the release did not come back into order, so that no other round makes sense. */
  async play(fault: Fault): Promise<boolean> {
    // The set that grows is the last one.
    const prober = fault.grows === true ? this.probers.at(-1)! : this.random.pick(this.probers);
    const scene = { release: this.release, set: prober.set, prober, random: this.random, nodes: this.nodes };
    this.tell(`${fault.name} (${prober.set})`);
    const fromMs = nowMs();
    let problem: string | undefined;
    let isBack = true;
    try {
      await fault.play(scene);
    } catch (error) {
      problem = (error as Error).message;
    }
    try {
      await this.isInOrder();
    } catch (error) {
      problem = [problem, (error as Error).message].filter(Boolean).join('; ');
      isBack = false;
    }
    const toMs = nowMs();
    for (const accident of await this.release.accidents().catch(() => [])) this.accidents.add(accident);
    const hit = this.probers.filter((one) => fault.hitsAll === true || one === prober);
    const round: Round = {
      fault: fault.name,
      set: fault.hitsAll === true ? 'all' : prober.set,
      fromMs,
      toMs,
      gapsMs: hit.map((one) => one.longestGapMs(fromMs, toMs)),
      otherGapsMs: this.probers.filter((one) => !hit.includes(one)).map((one) => one.longestGapMs(fromMs, toMs)),
      refusals: inShort(hit.map((one) => one.refusals(fromMs, toMs))),
      ...(problem === undefined ? {} : { problem }),
    };
    this.played.push(round);
    this.tell(`  writes rested ${round.gapsMs.join(', ')} ms; in order after ${Math.round((toMs - fromMs) / 1_000)} s`);
    if (problem !== undefined) this.tell(`  PROBLEM: ${problem}`);
    await pause(REST_MS);
    return isBack;
  }

  async isInOrder(): Promise<void> {
    await this.release.whole();
    await Promise.all(this.probers.map((prober) => prober.isWritten()));
  }
}
