// A limit of the kernel on the memory of processes, as a container has it: more is answered by SIGKILL. Where this user
// may not set one (no root, no controller), processes run without, and their peak is all that is looked at.
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MemoryCage {
  /** A process that writes its pid into this file is in it, and so is whatever it starts. */
  readonly processes: string;
  /** How often the kernel has ended a process of it. */
  kills(): number;
  /** The most that was in use, the page cache included; undefined where the kernel does not tell. */
  peakBytes(): number | undefined;
  /** When its processes have ended. */
  remove(): void;
}

const VERSION_1 = '/sys/fs/cgroup/memory';
const VERSION_2 = '/sys/fs/cgroup';

export function memoryCage(name: string, limitBytes: number): MemoryCage | undefined {
  const isVersion1 = existsSync(join(VERSION_1, 'memory.limit_in_bytes'));
  const parent = isVersion1 ? VERSION_1 : VERSION_2;
  try {
    accessSync(join(parent, 'cgroup.procs'), constants.W_OK);
  } catch {
    return undefined;
  }
  const directory = join(parent, `fulmar-test-${process.pid}-${name}`);
  mkdirSync(directory);
  const names = isVersion1
    ? { limit: 'memory.limit_in_bytes', events: 'memory.oom_control', peak: 'memory.max_usage_in_bytes' }
    : { limit: 'memory.max', events: 'memory.events', peak: 'memory.peak' };
  if (!existsSync(join(directory, names.limit))) {
    rmdirSync(directory);
    return undefined;
  }
  writeFileSync(join(directory, names.limit), String(limitBytes));
  const read = (file: string) => readFileSync(join(directory, file), 'utf8');
  return {
    processes: join(directory, 'cgroup.procs'),
    kills: () => Number(/^oom_kill (\d+)$/m.exec(read(names.events))?.[1] ?? 0),
    peakBytes: () => (existsSync(join(directory, names.peak)) ? Number(read(names.peak)) : undefined),
    remove: () => rmdirSync(directory),
  };
}
