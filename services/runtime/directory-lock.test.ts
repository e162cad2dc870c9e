// A directory is locked by one process at a time, and the lock ends with the process, even if it is killed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { lockDirectory } from './directory-lock.ts';

const temporary = mkdtempSync(`${tmpdir()}/fulmar-lock-`);
afterAll(() => rmSync(temporary, { recursive: true }));

const MODULE = new URL('./directory-lock.ts', import.meta.url);
const program = `
  const { lockDirectory } = await import(${JSON.stringify(fileURLToPath(MODULE))});
  const told = lockDirectory(${JSON.stringify(temporary)}).then(() => 'locked', (error) => error.message);
  console.log(await told);
  setInterval(() => {}, 1000);
`;

/** With an empty PATH there is no \`flock\` command, and the owner's name in the file has to do. */
test.each([
  ['by the kernel', process.env.PATH ?? ''],
  ['by its owner', ''],
])('a killed process holds no lock (%s)', async (_how, path) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: path },
  });
  try {
    const [text] = await once(child.stdout!, 'data');
    expect(String(text).trim()).toBe('locked');
    await expect(lockDirectory(temporary)).rejects.toThrow(`in use by another process (pid ${child.pid}`);
  } finally {
    child.kill('SIGKILL');
  }
  await once(child, 'exit');
  await (await lockDirectory(temporary)).release();
});
