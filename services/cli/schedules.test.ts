import { expect, test } from '@jest/globals';
import { EXIT } from './fulmar.ts';
import { run } from './testing/run.ts';

test('makes, lists, shows, pauses, resumes and deletes recurring messages', async () => {
  const message = { tag: 'a', keys: ['k'], properties: { color: 'red' }, messageGroup: '', body: Buffer.from('go') };
  const wanted = { name: 'weekly', topic: 'orders', cron: '0 9 * * MON', timeZone: 'Europe/Berlin', message };
  const standing = {
    set: 'set-0',
    paused: false,
    createdAtMs: 1,
    nextAtMs: Date.UTC(2026, 10, 30, 8),
    lastAtMs: 0,
    sent: 0,
  };
  const schedule = { ...wanted, ...standing };
  const words = ['schedule', 'create', 'weekly', '--topic', 'orders', '--cron', '0 9 * * MON', '--body', 'go'];
  const more = ['--time-zone', 'Europe/Berlin', '--tag', 'a', '--key', 'k', '--property', 'color=red'];
  const created = await run([...words, ...more], { CreateSchedule: { schedule } });
  expect(created.calls).toEqual([{ method: 'CreateSchedule', request: { schedule: wanted } }]);
  expect(created.output).toContain('2026-11-30 08:00:00 UTC');
  const piped = await run(words.slice(0, 7), { CreateSchedule: { schedule } });
  expect(piped.calls[0]!.request).toMatchObject({
    schedule: { timeZone: 'UTC', message: { body: Buffer.from('from a pipe') } },
  });
  const listed = await run(['schedule', 'list'], { ListSchedules: { schedules: [schedule], nextPage: '' } });
  expect(listed.output).toMatch(/weekly +orders +0 9 \* \* MON +Europe\/Berlin +2026-11-30 08:00:00 UTC +- +0/);
  const shown = await run(['schedule', 'show', 'weekly'], { DescribeSchedule: { schedule } });
  expect(shown.output).toMatch(/Property +color=red[\s\S]*go$/);
  const paused = await run(['schedule', 'pause', 'weekly'], {
    PauseSchedule: { schedule: { ...schedule, paused: true } },
  });
  expect(paused.output).toBe('weekly is paused.');
  const resumed = await run(['schedule', 'resume', 'weekly'], { ResumeSchedule: { schedule } });
  expect(resumed.output).toBe('weekly goes on, next at 2026-11-30 08:00:00 UTC.');
  const deleted = await run(['schedule', 'delete', 'weekly'], { DeleteSchedule: {} });
  expect([deleted.code, deleted.output]).toEqual([EXIT.done, 'weekly is deleted.']);
  expect((await run(['schedule', 'create', 'weekly', '--topic', 'orders'])).code).toBe(EXIT.usage);
});
