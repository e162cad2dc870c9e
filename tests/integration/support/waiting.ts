// Waiting in tests: for a while, or for something to become true.
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 20;
const PATIENCE_MS = 60_000;

export async function pause(milliseconds: number): Promise<void> {
  await sleep(milliseconds);
}

/** Fails with the sentence if it does not become true for a long time. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>, patienceMs = PATIENCE_MS) {
  const deadline = performance.now() + patienceMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`In ${patienceMs} ms it did not come true: ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
