#!/usr/bin/env node
// The `fulmar` command. A process that is to be a service replaces itself by one with a fitting heap before anything else
// is loaded, or it would load nearly everything twice.
import { takeHeapOfService } from './heap.ts';

await takeHeapOfService(process.argv.slice(2), process.env);
await import('./program.ts');
