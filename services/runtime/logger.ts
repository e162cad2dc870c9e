// The process's log for people: one JSON object a line, on standard error. `event` is a constant sentence, the rest are
// its values; what a line says about a caller is never a secret.
import type { LogFields, Logger } from '@fulmar/core/ports.ts';
import { type DestinationStream, destination, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** In each line, such as service, cluster and node. */
  readonly fields?: LogFields;
  /** Standard error if absent. */
  readonly destination?: DestinationStream;
}

export interface ProcessLogger extends Logger {
  level: LogLevel;
  /** Writes what is still in memory before it returns; for a process that must not go on. */
  flush(): void;
  /**
   * The same for a process that stops in order, and nothing is logged after it. Ends within a second whatever the
   * reader of the log does: one that has gone would be written to for ever by `flush`.
   */
  end(): Promise<void>;
}

const STANDARD_ERROR = 2;
const END_DEADLINE_MS = 1_000;

export function createLogger(options: LoggerOptions): ProcessLogger {
  const own = options.destination === undefined ? destination({ dest: STANDARD_ERROR, sync: false }) : undefined;
  const target = options.destination ?? own!;
  // A log that cannot be written ends no service.
  let failed = false;
  own?.on('error', () => {
    failed = true;
  });
  const log = pino(
    {
      level: options.level,
      messageKey: 'event',
      base: { ...options.fields },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    target,
  );
  return {
    get level() {
      return log.level as LogLevel;
    },
    set level(level) {
      log.level = level;
    },
    debug: (event, fields) => log.debug(fields ?? {}, event),
    info: (event, fields) => log.info(fields ?? {}, event),
    warn: (event, fields) => log.warn(fields ?? {}, event),
    error: (event, fields) => log.error(fields ?? {}, event),
    flush: () => own?.flushSync(),
    end: async () => {
      log.level = 'silent';
      if (own === undefined || failed) return;
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, END_DEADLINE_MS);
        const ended = () => {
          clearTimeout(deadline);
          resolve();
        };
        own.once('close', ended);
        own.once('error', ended);
        own.end();
      });
      // Otherwise the exit of the process writes the rest, for as long as it takes.
      own.destroy();
    },
  };
}
