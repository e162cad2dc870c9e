// Starts the project's own commands as a user does, as processes, and sees to it that none outlives its test.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Ended {
  /** The exit status, or the name of the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Command {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** The first whole line on stdout. Fails, with what stderr says, if the command ends without one. */
  readonly firstLine: Promise<string>;
  /** Sends a signal to the process that was started, and waits for it. */
  end(signal?: NodeJS.Signals): Promise<Ended>;
}

const running = new Set<ChildProcess>();
const directories: string[] = [];

/** `path` is from the project's root: `scripts/run`. */
export function start(path: string, flags: readonly string[], environment: Record<string, string> = {}): Command {
  const isScript = !path.endsWith('.ts');
  const child = spawn(isScript ? join(ROOT, path) : process.execPath, isScript ? flags : [join(ROOT, path), ...flags], {
    env: { ...ownEnvironment(), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const end = stdout.indexOf('\n');
      if (end >= 0) resolve(stdout.slice(0, end));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('close', () => reject(new Error(`${path} ended without a line on stdout:\n${stderr}`)));
  });
  // Who does not ask for a line is not to be told that there was none.
  firstLine.catch(() => {});
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ status: code ?? signal ?? 'unknown', stdout, stderr });
    });
  });
  return {
    pid: child.pid ?? -1,
    ended,
    firstLine,
    end(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}

export function run(path: string, flags: readonly string[], environment?: Record<string, string>): Promise<Ended> {
  return start(path, flags, environment).ended;
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fulmar-'));
  directories.push(directory);
  return directory;
}

/** For `afterEach`. */
export async function endAll(): Promise<void> {
  const ends = [...running].map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of running) child.kill('SIGKILL');
  await Promise.all(ends);
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}

/** Without the settings of whoever runs the tests, and without what Jest has set for itself. */
function ownEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith('FULMAR_') && name !== 'NODE_OPTIONS') environment[name] = value;
  }
  return environment;
}
