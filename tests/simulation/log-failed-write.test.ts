// A machine goes on showing what a failed write should have stored, calls it clean, and loses it with its power. A log
// that starts again on such a machine must not build on it.
import { openLog } from '@fulmar/broker/log/open.ts';
import { expect, test } from '@jest/globals';
import { LogMachine } from './log-machine.ts';
import { History, ModelEngine } from './log-model.ts';

const DIRECTORY = 'data/log';
/** A write that is torn in the right place is rare. */
const STORIES = 64;

/** A log that promised epoch 3, and could not store that it promised 7. The machine shows it, the process is gone. */
async function unstoredPromise(seed: number) {
  const machine = new LogMachine(seed);
  const history = new History();
  const life = await machine.open(DIRECTORY, history);
  life.log.beginEpoch(1);
  await machine.fill(life, history, 1);
  await machine.settle(life.log.acceptEpoch(3));
  machine.disk.faults.sync = 1;
  await expect(machine.settle(life.log.acceptEpoch(7))).rejects.toThrow('injected');
  machine.disk.faults.sync = 0;
  machine.disk.killProcess();
  return { machine, history };
}

test('a promise of a replica is kept, whenever the power goes after the next one could not be stored', async () => {
  for (let callsLeft = 1, hasOpened = false; !hasOpened; callsLeft++) {
    for (let seed = 1; seed <= STORIES; seed++) {
      const { machine, history } = await unstoredPromise(seed);
      const { disk } = machine;
      disk.callsLeft = callsLeft;
      openLog(machine.options(DIRECTORY))
        .then((log) => log.recover(new ModelEngine(log, history)))
        .then(() => {
          hasOpened = true;
        });
      await machine.scheduler.runUntil(() => hasOpened || disk.isDown);
      disk.bootAgain();
      if (hasOpened) disk.crash();
      const { log } = await machine.open(DIRECTORY, history);
      expect(log.endPosition).toBe(history.end);
      expect([3, 7]).toContain(log.acceptedEpoch);
    }
  }
}, 60_000);
