// What a process says that ends before it runs: a sentence for people at a terminal, else one line of JSON as the lines
// of the log are, for whatever collects them.
import { createLogger } from './logger.ts';

export function lastWords(
  service: string,
  isTerminal: boolean = process.stderr.isTTY,
  write: (text: string) => void = (text) => process.stderr.write(text),
): (sentence: string) => void {
  const logger = createLogger({ level: 'error', fields: { service }, destination: { write } });
  return (sentence) => {
    if (isTerminal) write(`${sentence.trimEnd()}\n`);
    else logger.error('the process cannot start', { error: sentence.trimEnd() });
  };
}
