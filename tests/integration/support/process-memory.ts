// What a process holds of the machine's memory, as the kernel counts it.
import { readFileSync } from 'node:fs';

export interface Memory {
  readonly residentBytes: number;
  /** The most it ever was. */
  readonly peakBytes: number;
  /** Of the resident bytes those of files, such as the program itself: the kernel drops them when memory is short. */
  readonly fileBytes: number;
}

export const MEBIBYTE = 1024 ** 2;

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [residentBytes, peakBytes, fileBytes] = ['VmRSS', 'VmHWM', 'RssFile'].map(
    (name) => kibibytes(status, name) * 1024,
  );
  return { residentBytes: residentBytes!, peakBytes: peakBytes!, fileBytes: fileBytes! };
}

function kibibytes(status: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  if (found === undefined) throw new Error(`/proc does not tell ${name}`);
  return Number(found);
}
