// How much processor time a process has used, its own and that of the kernel for it, as Linux counts it.
import { readFileSync } from 'node:fs';

/** Of every Linux that people use. */
const TICKS_PER_SECOND = 100;
/** Fields behind the name of the program, which may have any character in it. */
const [USER_FIELD, SYSTEM_FIELD] = [11, 12];

export function processorSecondsOf(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[USER_FIELD]) + Number(fields[SYSTEM_FIELD])) / TICKS_PER_SECOND;
}
