// Names the time from one start of this machine to the next, as Linux does it. A log that was not flushed may be
// believed after the end of its process, but not after a power cut.
import { readFileSync } from 'node:fs';

/** Undefined where the system does not tell; every restart is taken for a power cut then. */
export function systemBootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}
