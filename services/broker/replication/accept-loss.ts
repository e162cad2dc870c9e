// An operator's last resort, when no member of the in-sync set will ever come back: this replica becomes the whole
// in-sync set with what it has. What only the others had is lost, which the set's record says for ever after.
import type { ReplicaOptions } from './replica-options.ts';
import type { SetRegistry } from './set-registry.ts';

/** Rejects with a sentence for people when the set is led, or when the store cannot be changed. */
export async function acceptLoss(registry: SetRegistry, options: ReplicaOptions, me: string): Promise<void> {
  const { timers, times, log, logger, clock, set } = options;
  const before = registry.latest;
  if (before === undefined || before.record.inSync.includes(me)) return;
  await new Promise<void>((resume) => timers.after(2 * times.leaseMs, resume));
  const now = await registry.read();
  if (now === undefined || now.version !== before.version) {
    throw new Error(`Set ${set} is alive: its record changes. Nothing is given up; start without --accept-loss.`);
  }
  const { record } = now;
  const loss = { epoch: record.epoch, position: log.endPosition, storeUid: me, atMs: clock.wallMs() };
  const alone = { leader: '', leaderAddress: '', preferred: me, inSync: [me], losses: [loss, ...record.losses] };
  const won = await registry.swap(now, { ...record, ...alone, renewals: record.renewals + 1 }, () => true);
  if (won !== true) throw new Error(`The record of set ${set} could not be changed. Look at the set, and start again.`);
  logger.warn('an operator has accepted a loss: this replica alone is the in-sync set now', {
    ...{ set, epoch: record.epoch, position: log.endPosition, storeUid: me },
  });
}
