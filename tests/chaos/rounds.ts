// Plays faults one after the other on a cluster under traffic: fault, healing, everything in order again, next. What a
// round measures is how long writes stopped; what was wrong in it is a sentence, and the run goes on if it can.
import type { SeededRandom } from '../simulation/random.ts';
import type { ChaosCluster } from './cluster.ts';
import type { Fault } from './faults.ts';
import { nowMs, pause } from './machine.ts';
import type { Prober } from './prober.ts';

export interface Round {
  readonly fault: string;
  readonly set: string;
  /** Before its preparation, if it has one. */
  readonly fromMs: number;
  /** When the fault was over; the cluster may not have noticed yet. */
  readonly healedMs: number;
  /** When every process was ready and every set took writes. */
  readonly toMs: number;
  /** Longest time without a write answered OK, in each set that was hit. */
  readonly gapsMs: readonly number[];
  /** The same for the sets that should not have noticed. */
  readonly otherGapsMs: readonly number[];
  /** What the probers got instead of OK. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly problem?: string;
}

const REST_MS = 2_000;

export class Rounds {
  readonly played: Round[] = [];
  private readonly cluster: ChaosCluster;
  private readonly probers: readonly Prober[];
  private readonly random: SeededRandom;
  private readonly tell: (text: string) => void;

  constructor(cluster: ChaosCluster, probers: readonly Prober[], random: SeededRandom, tell: (text: string) => void) {
    this.cluster = cluster;
    this.probers = probers;
    this.random = random;
    this.tell = tell;
  }

  /** False when the cluster could not be brought back, so that no other round makes sense. */
  async play(fault: Fault): Promise<boolean> {
    const prober = this.random.pick(this.probers);
    const scene = { cluster: this.cluster, set: prober.set, prober, random: this.random };
    const fromMs = nowMs();
    let faultMs = fromMs;
    this.tell(`${fault.name} in ${prober.set}`);
    let problem: string | undefined;
    try {
      const prepared = (await fault.prepare?.(scene)) ?? scene;
      faultMs = nowMs();
      await fault.play(prepared);
    } catch (error) {
      problem = (error as Error).message;
    }
    const healedMs = nowMs();
    let isBack = true;
    try {
      await this.isInOrder();
    } catch (error) {
      problem = [problem, (error as Error).message].filter(Boolean).join('; ');
      isBack = await this.rescue();
    }
    const toMs = nowMs();
    const hit = this.probers.filter((one) => fault.hitsAll === true || one === prober);
    const others = this.probers.filter((one) => !hit.includes(one));
    const round: Round = {
      fault: fault.name,
      set: fault.hitsAll === true ? 'all' : prober.set,
      fromMs,
      healedMs,
      toMs,
      gapsMs: hit.map((one) => one.longestGapMs(faultMs, toMs)),
      otherGapsMs: others.map((one) => one.longestGapMs(faultMs, toMs)),
      refusals: Object.assign({}, ...hit.map((one) => one.refusals(faultMs, toMs))),
      ...(problem === undefined ? {} : { problem }),
    };
    this.played.push(round);
    this.tell(`  writes rested ${round.gapsMs.join(', ')} ms; whole after ${Math.round(toMs - fromMs)} ms`);
    if (problem !== undefined) this.tell(`  PROBLEM: ${problem}`);
    await pause(REST_MS);
    return isBack;
  }

  async isInOrder(): Promise<void> {
    await this.cluster.whole();
    await Promise.all(this.probers.map((prober) => prober.isWritten()));
  }

  /** After a round that went wrong: takes every fault away and starts what does not run. */
  private async rescue(): Promise<boolean> {
    const { network, brokers } = this.cluster.parts;
    await network.heal();
    for (const { disk } of brokers) {
      await disk.unfreeze();
      disk.makeSpace();
      disk.behave();
    }
    for (const process of this.cluster.processes) {
      process.thaw();
      if (!process.isRunning) process.launch();
    }
    try {
      await this.isInOrder();
      return true;
    } catch (error) {
      this.tell(`  the cluster did not come back: ${(error as Error).message}`);
      return false;
    }
  }
}
