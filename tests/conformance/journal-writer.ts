// A process that swaps the record of one set as fast as it can, until it is killed: `node journal-writer.ts DIRECTORY`.
// Prints a line for every swap that it has won: the version before, the new one, and the renewals of its record.
import { writeSync } from 'node:fs';
import { openFile } from '@fulmar/runtime/coordination/file.ts';
import { LONG_RECORD, SWAPPED_SET } from './journal-records.ts';

const [directory] = process.argv.slice(2);
const coordination = openFile({ ...SWAPPED_SET, directory: directory!, timeoutMs: 10_000 });
for (let writes = 1; ; writes++) {
  const before = await coordination.read();
  const renewals = (before?.record.renewals ?? 0) + 1;
  const record = { ...LONG_RECORD, renewals, writer: `${process.pid}:${writes}` };
  const version = await coordination.write(record, before?.version);
  if (version !== undefined) writeSync(1, `${before?.version ?? 'none'} ${version} ${renewals}\n`);
}
