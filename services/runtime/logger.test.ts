// A process ends on SIGTERM whatever becomes of its log.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { sleep } from './testing.ts';

const program = `
  const { createLogger } = await import(${JSON.stringify(new URL('./logger.ts', import.meta.url).href)});
  const { processLife } = await import(${JSON.stringify(new URL('./process.ts', import.meta.url).href)});
  const logger = createLogger({ level: 'info' });
  const life = processLife({ logger });
  life.onStop({ name: 'wait', deadlineMs: 5_000, run: () => new Promise((done) => setTimeout(done, process.argv[1])) });
  setInterval(() => {}, 1_000);
  console.log('ready');
`;

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

async function start(stopMs: number): Promise<void> {
  child = spawn(process.execPath, ['--input-type=module', '-e', program, String(stopMs)]);
  await once(child.stdout!, 'data');
}

test.each([0, 200])('a process whose log nobody reads any more ends on SIGTERM (a stop of %d ms)', async (stopMs) => {
  await start(stopMs);
  child!.stderr!.destroy();
  await sleep(50);
  child!.kill('SIGTERM');
  expect(await once(child!, 'exit')).toEqual([0, null]);
});

test('the last lines of a process are written before it ends', async () => {
  await start(0);
  let text = '';
  child!.stderr!.on('data', (chunk) => {
    text += chunk;
  });
  child!.kill('SIGTERM');
  expect(await once(child!, 'close')).toEqual([0, null]);
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event),
  ).toEqual(['the process is stopping', 'the process has stopped']);
});
