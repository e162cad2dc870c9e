// The life of a process: it runs until a signal or a fatal error, then carries out its stop steps in order, each with a
// deadline, and exits. A bug that nobody caught ends the process with code 1 after one line in the log: whoever runs it
// starts it anew, and everything here survives that.
import type { Logger } from '@fulmar/core/ports.ts';

export interface StopStep {
  readonly name: string;
  /** After this the next step begins, whatever becomes of this one. */
  readonly deadlineMs: number;
  run(): Promise<void> | void;
}

export interface ProcessLife {
  /** Steps run in the order in which they were added: first "take no more", last "close the files". */
  onStop(step: StopStep): void;
  /** Runs the steps once and exits; a second call changes nothing. */
  stop(reason: string, exitCode?: number): Promise<void>;
  readonly stopping: boolean;
}

/** What of `process` is used; tests give their own. */
export interface ProcessEvents {
  on(event: string, listener: (value: unknown) => void): unknown;
  removeAllListeners(event: string): unknown;
  exit(code: number): void;
}

export interface ProcessLifeOptions {
  readonly logger: Logger & { flush?(): void; end?(): Promise<void> };
  readonly events?: ProcessEvents;
}

export function processLife(options: ProcessLifeOptions): ProcessLife {
  const { logger } = options;
  const events = options.events ?? (process as ProcessEvents);
  const steps: StopStep[] = [];
  let stopping: Promise<void> | undefined;

  const exit = (code: number) => {
    logger.flush?.();
    events.exit(code);
  };
  const stop = (reason: string, exitCode = 0): Promise<void> => {
    stopping ??= (async () => {
      logger.info('the process is stopping', { reason });
      for (const step of steps) await runStep(step, logger);
      logger.info('the process has stopped', { reason });
      await logger.end?.();
      events.exit(exitCode);
    })();
    return stopping;
  };

  for (const signal of ['SIGTERM', 'SIGINT']) {
    events.on(signal, () => {
      if (stopping === undefined) void stop(signal);
      else if (signal === 'SIGINT') {
        // A person at a terminal who asks twice does not want to wait.
        logger.warn('the process ends without finishing its stop', { reason: signal });
        exit(1);
      }
    });
  }
  // Node writes its warnings by itself, and not as lines of this log.
  events.removeAllListeners('warning');
  events.on('warning', (warning) => logger.warn('a warning of the runtime', { warning: String(warning) }));
  for (const bug of ['unhandledRejection', 'uncaughtException']) {
    events.on(bug, (thrown) => {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      logger.error('the process ends because of a bug', { kind: bug, error: error.message, stack: error.stack });
      exit(1);
    });
  }
  return {
    onStop: (step) => steps.push(step),
    stop,
    get stopping() {
      return stopping !== undefined;
    },
  };
}

async function runStep(step: StopStep, logger: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), step.deadlineMs);
  });
  try {
    const outcome = await Promise.race([Promise.resolve(step.run()), late]);
    if (outcome === 'late') logger.warn('a step of the stop took too long', { step: step.name });
  } catch (error) {
    logger.error('a step of the stop failed', { step: step.name, error: String(error) });
  } finally {
    clearTimeout(timer);
  }
}
