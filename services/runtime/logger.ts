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
  /** Writes what is still in memory; for the last moments of a process. */
  flush(): void;
}

const STANDARD_ERROR = 2;

export function createLogger(options: LoggerOptions): ProcessLogger {
  const target = options.destination ?? destination({ dest: STANDARD_ERROR, sync: false });
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
    flush: () => {
      if ('flushSync' in target && typeof target.flushSync === 'function') target.flushSync();
    },
  };
}
