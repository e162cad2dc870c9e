// One process of the cluster: started in its own network, killed, frozen and thawed by its id, and with a log file that
// is kept for runs that fail. The run never ends a process that it has not started.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { linesOf, nowMs, ROOT, until } from './machine.ts';
import type { Host } from './network.ts';

export interface Program {
  readonly host: Host;
  /** Without its path for a tool of the system; `service` runs ours. */
  readonly words: readonly string[];
  /** Asked until it is true, after each start. */
  readonly isReady: () => Promise<boolean>;
}

const READY_MS = 40_000;
const ORDERLY_END_MS = 20_000;
const TAIL_LINES = 12;

/** Words of one of our services: what `scripts/fulmar` executes, without the shell before it. */
export function service(name: string, flags: Readonly<Record<string, string>>): readonly string[] {
  const words = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  return [process.execPath, '--max-semi-space-size=16', join(ROOT, 'services/cli/main.ts'), name, ...words];
}

export class RoleProcess {
  readonly host: Host;
  readonly logFile: string;
  private readonly program: Program;
  private child: ChildProcess | undefined;
  private ending: Promise<string> = Promise.resolve('never started');

  constructor(program: Program, logDirectory: string) {
    this.program = program;
    this.host = program.host;
    this.logFile = join(logDirectory, `${program.host.name}.log`);
  }

  get name(): string {
    return this.host.name;
  }

  get isRunning(): boolean {
    return this.child !== undefined;
  }

  /** Whether it runs and takes requests. */
  async isReady(): Promise<boolean> {
    return this.child !== undefined && (await this.program.isReady().catch(() => false));
  }

  /** Starts it without waiting; with more in its environment, if that is given, for this life only. */
  launch(extra: Readonly<Record<string, string>> = {}): void {
    if (this.child !== undefined) throw new Error(`${this.name} runs already`);
    const [tool, ...words] = [...this.host.enter, ...this.program.words];
    const log = openSync(this.logFile, 'a');
    const child = spawn(tool!, words, {
      stdio: ['ignore', log, log],
      env: { ...plainEnvironment(), ...extra },
    });
    closeSync(log);
    this.child = child;
    this.note(`started as ${child.pid}`);
    this.ending = new Promise((resolve) => {
      const gone = (how: string) => {
        this.note(`ended with ${how}`);
        if (this.child === child) this.child = undefined;
        resolve(how);
      };
      child.once('error', (error) => gone(error.message));
      child.once('exit', (code, signal) => gone(String(code ?? signal)));
    });
  }

  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  async ready(patienceMs = READY_MS): Promise<void> {
    try {
      await until(`${this.name} is ready`, patienceMs, async () => {
        if (this.child === undefined) return true;
        return this.program.isReady();
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.tail()}`);
    }
    if (this.child === undefined) throw new Error(`${this.name} ended while it started:\n${this.tail()}`);
  }

  /** Not one more instruction is executed. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL');
    await this.ending;
  }

  /** In good order, as an operator or Kubernetes would. Answers the exit status. */
  async stop(): Promise<string> {
    const child = this.child;
    if (child === undefined) return 'not running';
    child.kill('SIGTERM');
    const late = setTimeout(() => {
      this.note(`was killed, because it did not end within ${ORDERLY_END_MS} ms`);
      child.kill('SIGKILL');
    }, ORDERLY_END_MS);
    const how = await this.ending;
    clearTimeout(late);
    return how;
  }

  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  /** How it ended; waits for that. */
  async ended(patienceMs: number): Promise<string> {
    await until(`${this.name} ends by itself`, patienceMs, () => this.child === undefined);
    return this.ending;
  }

  /** The last lines of its log. */
  tail(): string {
    return linesOf(this.logFile).slice(-TAIL_LINES).join('\n');
  }

  private note(what: string): void {
    appendFileSync(this.logFile, `{"chaos":"${what}","monotonicMs":${Math.round(nowMs())}}\n`);
  }
}

/** Whether an HTTP page answers 200. */
export async function answersOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
  await response.arrayBuffer();
  return response.status === 200;
}

/** Without settings of whoever runs this. libuv's io_uring would go around the faulty disk, which stands at libc. */
export function plainEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { UV_USE_IO_URING: '0' };
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith('FULMAR_') && name !== 'NODE_OPTIONS') environment[name] = value;
  }
  return environment;
}
