// One simulated life story of two replicas' logs, from one seed: again and again one of them leads an epoch, and the
// other one cuts off what the leader does not have and copies what it has, with crashes of either anywhere. Both logs
// must be byte for byte the same up to where they agree, and nothing that both had durable may ever go.
import { endOfEpoch, reignUpTo } from '@fulmar/broker/replication/replicated-log.ts';
import { readRecordHeader, sealRecord } from '@fulmar/core/record.ts';
import type { Mistake } from './log-mistakes.ts';
import { demand } from './log-model.ts';
import { type Agreement, SimulatedReplica } from './log-replicas.ts';
import { SeededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';

export class LogPairRun {
  readonly trace = new Trace();
  private readonly happened = { reigns: 0, cuts: 0, frames: 0, committed: 0 };
  private readonly replicas: readonly [SimulatedReplica, SimulatedReplica];
  private readonly random: SeededRandom;
  private readonly scheduler: Scheduler;
  private readonly agreement: Agreement = { committed: 0 };
  private epoch = 0;

  constructor(seed: number, mistake: Mistake = (options) => options) {
    this.random = new SeededRandom(seed);
    this.scheduler = new Scheduler(this.random.fork());
    const replica = () => new SimulatedReplica(this.random.fork(), this.scheduler, this.trace, this.agreement, mistake);
    this.replicas = [replica(), replica()];
  }

  get counts() {
    const [one, other] = this.replicas.map((replica) => replica.counts);
    return {
      ...this.happened,
      crashes: one!.crashes + other!.crashes,
      cutBytes: one!.cutBytes + other!.cutBytes,
      readsFromDisk: one!.readsFromDisk + other!.readsFromDisk,
      refusals: one!.refusals + other!.refusals,
    };
  }

  async run(): Promise<void> {
    const reigns = this.random.between(3, 8);
    for (let i = 0; i < reigns; i++) {
      for (const replica of this.replicas) await replica.start();
      await this.reign();
    }
    for (const replica of this.replicas) await replica.start();
    // Whatever happened, in the end they are the same.
    while (!(await this.reign(true))) for (const replica of this.replicas) await replica.start();
    const [one, other] = this.replicas;
    demand(one.history.end === other.history.end, () => 'the follower did not catch up');
    for (const replica of this.replicas) {
      await replica.readAll();
      await replica.close();
      await replica.start();
      await replica.readAll();
    }
  }

  /** False if a crash ended it early. */
  private async reign(toTheEnd = false): Promise<boolean> {
    const { random, scheduler } = this;
    const first = random.below(2);
    const leader = this.replicas[first]!;
    const follower = this.replicas[1 - first]!;
    const epoch = ++this.epoch;
    this.happened.reigns++;
    if (!(await leader.accept(epoch))) return false;
    leader.lead(epoch);
    const epochStart = leader.history.end;
    const alone = random.below(12);
    for (let i = 0; i < alone; i++) leader.append();
    // Often nobody follows, and what was written may turn out not to be committed.
    if (!toTheEnd && random.chance(0.5)) return this.crashSome(leader, follower);
    if (!(await follower.accept(epoch)) || !(await this.match(leader, follower))) return false;
    const steps = toTheEnd ? 3 : random.between(1, 10);
    for (let i = 0; i < steps; i++) {
      if (random.chance(0.7)) for (let n = random.below(8); n > 0; n--) leader.append();
      if (random.chance(0.2)) await this.offerWrongFrames(leader, follower);
      if (random.chance(0.8)) await this.copy(leader, follower, random.between(1, 4));
      if (random.chance(0.6)) await scheduler.runFor(random.below(200) / 10);
      if (random.chance(0.05)) await scheduler.runFor(1500);
      if (random.chance(0.1)) await scheduler.settle(random.pick(this.replicas).log!.retain());
      this.commit(leader, follower, epochStart);
    }
    if (!toTheEnd) return this.crashSome(leader, follower);
    await this.copy(leader, follower, Number.MAX_SAFE_INTEGER);
    const end = leader.history.end;
    const isDurable = () => this.replicas.every(({ log }) => log!.durablePosition >= end);
    await scheduler.runUntil(isDurable, 60_000);
    this.commit(leader, follower, epochStart);
    demand(this.agreement.committed === end, () => 'what both have is not committed');
    return true;
  }

  private async crashSome(...replicas: readonly SimulatedReplica[]): Promise<boolean> {
    for (const replica of replicas) if (this.random.chance(0.4)) await replica.crash();
    return true;
  }

  /** As replicas do it: the follower names its last epoch, the leader where that ended. */
  private async match(leader: SimulatedReplica, follower: SimulatedReplica): Promise<boolean> {
    for (let rounds = 0; ; rounds++) {
      const own = follower.log!;
      const theirs = leader.log!;
      demand(rounds < 100, () => 'two logs never agree');
      const asked = reignUpTo(theirs, own.lastEpoch);
      if (own.endPosition === 0 || (asked.epoch === own.lastEpoch && own.endPosition <= asked.end)) break;
      // Only of an epoch that both have it is sure that records begin in the same places.
      const cut = Math.min(
        reignUpTo(own, asked.epoch).end,
        endOfEpoch(own, asked.epoch) === undefined ? Infinity : asked.end,
      );
      demand(cut >= this.agreement.committed, () => `${cut} is where the logs part, behind it there is committed`);
      this.happened.cuts++;
      if (this.random.chance(0.3)) await this.scheduler.runFor(this.random.below(100) / 10);
      if (!(await follower.truncate(cut))) return false;
    }
    const count = follower.history.records.length;
    const isSame = count === 0 || leader.history.records[count - 1]?.hash === follower.history.records[count - 1]!.hash;
    demand(isSame, () => 'the follower has something else than the leader');
    return true;
  }

  private async copy(leader: SimulatedReplica, follower: SimulatedReplica, times: number): Promise<void> {
    for (let i = 0; i < times && follower.history.end < leader.history.end; i++) {
      const frames = await leader.frames(follower.history.end);
      follower.take(frames, leader.history);
      this.happened.frames++;
    }
  }

  private async offerWrongFrames(leader: SimulatedReplica, follower: SimulatedReplica): Promise<void> {
    const { random } = this;
    const known = leader.history.records[leader.history.indexOf(follower.history.end)!];
    if (known === undefined) return;
    const bytes = Buffer.from(known.bytes);
    const { type, length, epoch, position, logTimeMs, durableDistance } = readRecordHeader(bytes, 0);
    const seal = (newEpoch: number, place: number, chain: number) =>
      sealRecord(bytes, 0, type, length, newEpoch, place, logTimeMs, durableDistance, chain);
    const before = leader.history.records[leader.history.indexOf(position)! - 1]?.bytes.readUInt32BE(36) ?? 0;
    const choice = random.below(4);
    if (choice === 0) {
      bytes[random.pick([0, 12, 40, length - 1])]! ^= 1 << random.below(8);
      follower.refuse(bytes, 'damaged');
    } else if (choice === 1) {
      seal(epoch, position, (before ^ 1) >>> 0);
      follower.refuse(bytes, 'chain');
    } else if (choice === 2) {
      seal(epoch, position + 1, before);
      follower.refuse(bytes, 'chain');
    } else if (follower.log!.lastEpoch > 0) {
      seal(follower.log!.lastEpoch - 1, position, before);
      follower.refuse(bytes, 'epoch');
    }
  }

  private commit(leader: SimulatedReplica, follower: SimulatedReplica, epochStart: number): void {
    const { agreement } = this;
    const position = Math.min(leader.log!.durablePosition, follower.log!.durablePosition);
    if (position < epochStart || position <= agreement.committed) return;
    this.happened.committed += position - agreement.committed;
    agreement.committed = position;
    leader.commit(position);
    if (this.random.chance(0.8)) follower.commit(position);
  }
}
