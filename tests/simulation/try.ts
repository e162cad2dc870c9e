import { LogRun } from '/work/main/tests/simulation/log-run.ts';
const from = Number(process.argv[2] ?? 1), n = Number(process.argv[3] ?? 100);
const t = performance.now(); const sum: Record<string, number> = {}; let bad = 0;
for (let seed = from; seed < from + n; seed++) {
  const run = new LogRun(seed);
  try { await run.run(); } catch (e) { bad++; if (bad <= Number(process.argv[4] ?? 8)) console.log('seed', seed, (e as Error).stack?.split('\n').slice(0, bad === 1 ? 14 : 3).join('\n')); }
  for (const [k, v] of Object.entries(run.counts)) sum[k] = (sum[k] ?? 0) + v;
}
console.log(bad, 'bad of', n, ((performance.now() - t) / n).toFixed(2), 'ms each', sum);
