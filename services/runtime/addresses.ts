// The addresses behind a list of `HOST:PORT`: a host name stands for all machines that it leads to at the moment, as
// the headless service of a Kubernetes cluster does. Made for being asked again and again.
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { joinAddress, splitAddress } from '@fulmar/core/addresses.ts';

/** Sorted and without repetition. Throws only when not one of the names is known. */
export async function resolveAddresses(names: readonly string[]): Promise<readonly string[]> {
  const results = await Promise.allSettled(names.map(resolveOne));
  const found = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (found.length === 0 && failed !== undefined) throw failed.reason;
  return [...new Set(found)].sort();
}

async function resolveOne(name: string): Promise<string[]> {
  const { host, port } = splitAddress(name);
  const machines = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host, family: isIP(host) }];
  return machines.map(({ address }) => joinAddress({ host: address, port }));
}
