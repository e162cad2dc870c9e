// The processes that a process has started, as Linux tells them.
import { readFileSync } from 'node:fs';

export function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

export function isRunning(pid: number): boolean {
  try {
    // The state follows the name, which may have any character in it.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
