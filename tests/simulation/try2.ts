import { LogRun } from './log-run.ts';
const seed = Number(process.argv[2]);
const run = new LogRun(seed);
const lines: string[] = [];
const note = run.trace.note.bind(run.trace);
run.trace.note = (e: string) => { lines.push(e); note(e); };
try { await run.run(); console.log('ok') } catch (e) { console.log((e as Error).message.slice(0,150)); }
console.log(JSON.stringify((run as any).policy), JSON.stringify((run as any).tuning));
console.log(lines.slice(-Number(process.argv[3] ?? 40)).join('\n'));
