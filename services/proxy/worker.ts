// The program of one of several workers of a proxy. Its parent starts it, tells it over a channel what to do, and gives
// it connections; it ends with its parent.
import { endWithParent } from '@fulmar/runtime/child-process.ts';
import { systemTimers } from '@fulmar/runtime/clock.ts';
import { collectAtRest } from '@fulmar/runtime/garbage.ts';
import { lastWords } from '@fulmar/runtime/last-words.ts';
import { createLogger, type LogLevel } from '@fulmar/runtime/logger.ts';
import { createMetrics } from '@fulmar/runtime/metrics.ts';
import { processLife } from '@fulmar/runtime/process.ts';
import { openWorkerChannel } from '@fulmar/runtime/workers/worker-channel.ts';
import type { WorkerDialogue } from './clients/colleagues.ts';
import { startProxy } from './main.ts';
import type { ProxyWork } from './workers.ts';

/** A little less than its parent waits for it. */
const STOP_MS = 27_000;
const CALLS_MS = 25_000;

async function work(): Promise<void> {
  const channel = await openWorkerChannel<ProxyWork, WorkerDialogue>(systemTimers);
  const { settings, labels, number, port, keyPair } = channel.work;
  const logger = createLogger({ level: settings.logLevel, fields: { service: 'proxy', worker: number } });
  const life = processLife({ logger });
  const setLogLevel = (level: LogLevel): void => {
    logger.level = level;
  };
  const running = await startProxy({
    ...{ settings, logger, setLogLevel },
    metrics: createMetrics({ labels, memoryShareBytes: settings.memoryLimit }),
    shared: { source: channel.connections(port), keyPair, colleagues: channel },
  });
  life.onStop({ name: 'finish the calls', deadlineMs: STOP_MS, run: () => running.stop(CALLS_MS) });
  channel.answerBy(async (kind, question) => running.answering[kind](question));
  channel.open(() => running.unready());
  logger.info('the worker is running', { pid: process.pid });
}

// As in the command that started the parent: TLS server names that are addresses are nobody's business.
process.noDeprecation = true;
endWithParent();
try {
  await work();
  collectAtRest();
} catch (problem) {
  lastWords('proxy')(`A worker cannot start: ${problem instanceof Error ? problem.message : String(problem)}`);
  process.exit(1);
}
