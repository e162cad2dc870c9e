// Says what a run of chaos needs and this machine does not have, and ends with 1 if there is any such thing.
import { missingHere } from './machine.ts';

const missing = missingHere();
for (const sentence of missing) process.stderr.write(`chaos: ${sentence}\n`);
process.exit(missing.length === 0 ? 0 : 1);
