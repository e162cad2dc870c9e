// Runs the programs of tests/clients, one process each, and collects the lines of JSON that they print. Whatever was
// started here is ended here; no other process is touched.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryDirectory } from './commands.ts';

const launcher = join(import.meta.dirname, '../clients/run');

/** A program that has not ended by then is ended here, so that its test fails with what the program printed. */
const PATIENCE_MS = 480_000;

/** Where the clients write their logs, as they do by default: below the home directory. */
const home = temporaryDirectory();

export interface ClientEvent {
  readonly event: 'ready' | 'sent' | 'asked' | 'ending' | 'recalled' | 'received' | 'done' | 'error';
  readonly id?: string;
  readonly body?: string;
  /** Wall time of the program. */
  readonly atMs?: number;
  /** When it came here. */
  readonly seenAtMs: number;
  readonly attempt?: number;
  readonly result?: 'ack' | 'fail';
  readonly text?: string;
}

export interface Outcome {
  readonly status: number | null;
  readonly events: readonly ClientEvent[];
  /** All that the program printed, for the message of a test that fails. */
  readonly output: string;
}

const running = new Set<ClientProgram>();

export class ClientProgram {
  readonly name: string;
  readonly events: ClientEvent[] = [];
  readonly finished: Promise<Outcome>;
  private readonly child: ChildProcess;
  private readonly lines: string[] = [];
  private readonly waiting = new Set<() => void>();
  private ended = false;

  /** `words` are the program's own: client produce --endpoint .., or: snippet 127.0.0.1:8081 */
  constructor(language: string, words: readonly string[]) {
    this.name = `${language} ${words.join(' ')}`;
    this.child = spawn(launcher, [language, ...words], {
      env: { ...process.env, CLIENT_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.take(line));
    createInterface({ input: this.child.stderr! }).on('line', (line) => this.lines.push(line));
    running.add(this);
    const impatience = setTimeout(() => {
      this.lines.push(`It had not ended after ${PATIENCE_MS} ms.`);
      this.child.kill('SIGKILL');
    }, PATIENCE_MS);
    this.finished = once(this.child, 'close').then(([status]) => {
      clearTimeout(impatience);
      this.ended = true;
      running.delete(this);
      this.wake();
      return { status, events: this.events, output: this.output() };
    });
  }

  /** Waits for the first event of this name. Fails when the program ends without it. */
  async until(event: ClientEvent['event']): Promise<void> {
    while (!this.events.some((seen) => seen.event === event)) {
      if (this.ended) throw new Error(`${this.name} ended without the event ${event}:\n${this.output()}`);
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.finished;
  }

  private take(line: string): void {
    this.lines.push(line);
    if (line.startsWith('{')) this.events.push({ ...JSON.parse(line), seenAtMs: performance.now() });
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  private output(): string {
    const telling = this.lines.filter((line) => !/"event": ?"(sent|recalled|received)"/.test(line));
    return [this.name, ...telling.slice(-30)].join('\n');
  }
}

export async function stopAllPrograms(): Promise<void> {
  await Promise.all([...running].map((program) => program.stop()));
}
