// `node tests/codecs/codecs.ts [INPUTS] [SEED]`: holds the codecs that are written by hand against protobufjs on so
// many generated and damaged inputs, a million unless said otherwise, and prints what became of them.
import { randomInt } from 'node:crypto';
import { CodecRun } from './codec-run.ts';

const inputs = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? randomInt(2 ** 31));
process.stdout.write(`seed ${seed}\n`);
const run = new CodecRun(seed);
const startedMs = performance.now();
while (run.inputs < inputs) run.round();
for (const { name, valid, damaged } of run.counts) {
  const fates = Object.entries(damaged).map(([fate, count]) => `${fate} ${count}`);
  process.stdout.write(`${name}: valid ${valid}; damaged: ${fates.join(', ')}\n`);
}
const seconds = (performance.now() - startedMs) / 1000;
process.stdout.write(`${run.inputs} inputs in ${seconds.toFixed(0)} s, no disagreement\n`);
