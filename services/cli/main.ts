#!/usr/bin/env node
// The `fulmar` command: connects the command line to this process. A process that is to be a service replaces itself by
// one with a fitting heap before anything else is loaded, or it would load nearly everything twice; and services are
// loaded only when they are to run.
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import { takeHeapOfService } from './heap.ts';

// The gRPC library names IP addresses as TLS server names, which is the business of nobody who uses this command.
process.noDeprecation = true;
// Whoever reads our output may stop when it has seen enough.
process.stdout.on('error', () => process.exit(0));

await takeHeapOfService(process.argv.slice(2), process.env);

const { collectAtRest } = await import('@fulmar/runtime/garbage.ts');
const { endWithParent } = await import('@fulmar/runtime/child-process.ts');
const { systemRandom } = await import('@fulmar/runtime/clock.ts');
const { fulmar } = await import('./fulmar.ts');
const { openProxy } = await import('./proxy.ts');

// A broker that `fulmar run` has started does not outlive it.
endWithParent();

process.exitCode = await fulmar(process.argv.slice(2), {
  services: {
    nameserver: {
      text: 'Run a NameServer.',
      load: async () => (await import('@fulmar/nameserver/main.ts')).runNameServer,
    },
    broker: { text: 'Run a broker.', load: async () => (await import('@fulmar/broker/main.ts')).runBroker },
    proxy: { text: 'Run a proxy.', load: async () => (await import('@fulmar/proxy/main.ts')).runProxy },
    run: {
      text: 'Run a whole cluster on this machine, for a first look.',
      load: async () => {
        const { runCluster } = await import('./run.ts');
        return (flags) => runCluster(flags, process.env);
      },
    },
  },
  environment: process.env,
  openProxy: (endpoint, tls) => {
    const trust = tls === 'trusted' ? { trusted: getCACertificates('default').join('\n') } : tls;
    return openProxy(endpoint, { tls: trust }, `${hostname()}@${process.pid}@cli@${systemRandom.uint32()}`);
  },
  input: async () => Buffer.concat(await process.stdin.toArray()),
  readFile: (path) => readFile(path),
  pause: (milliseconds) => pause(milliseconds),
  output: (text) => process.stdout.write(`${text}\n`),
  error: (text) => process.stderr.write(`${text}\n`),
});

// A service runs now.
collectAtRest();
