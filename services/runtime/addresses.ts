// The addresses behind a list of `HOST:PORT`: a host name stands for all machines that it leads to at the moment, as
// the headless service of a Kubernetes cluster does. Made for being asked again and again.
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { joinAddress, splitAddress } from '@fulmar/core/addresses.ts';

/** Sorted and without repetition. Throws only when not one of the names is known. */
export async function resolveAddresses(names: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  let failure: unknown;
  // One after the other: each question may hold one of the four threads that also write files, for seconds.
  for (const name of names) {
    try {
      for (const address of await resolveOne(name)) found.add(address);
    } catch (problem) {
      failure = problem;
    }
  }
  if (found.size === 0 && failure !== undefined) throw failure;
  return [...found].sort();
}

async function resolveOne(name: string): Promise<string[]> {
  const { host, port } = splitAddress(name);
  const machines = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host, family: isIP(host) }];
  return machines.map(({ address }) => joinAddress({ host: address, port }));
}
