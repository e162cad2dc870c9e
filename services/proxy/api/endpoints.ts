// Which address a client is told for a broker set. Clients send, receive and settle at the address that a route names,
// so it must be one that they can reach: the advertised ones, else the access point that the client itself was given,
// else the address under which it reached this server. Always exactly one, and the scheme fits the host.
import { isIP } from 'node:net';
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { ADDRESS_SCHEME, type Address, type Endpoints } from './messages.ts';

const ADDRESSES_MAX = 64;
const HOST_LENGTH_MAX = 253;
const DEFAULT_PORT = 8081;

/** The addresses among which the sets of a route are spread: set i gets address i mod n. Never empty. */
export type AddressChoice = readonly Address[];

export function checkAccessPoint(endpoints: Endpoints | null | undefined): Outcome<AddressChoice | undefined> {
  const addresses = endpoints?.addresses ?? [];
  if (addresses.length === 0) return success(undefined);
  if (addresses.length > ADDRESSES_MAX) {
    return failure('ILLEGAL_ACCESS_POINT', `The access point has too many addresses. Use at most ${ADDRESSES_MAX}.`);
  }
  for (const { host, port } of addresses) {
    if (host === '' || host.length > HOST_LENGTH_MAX || !Number.isInteger(port) || port < 1 || port > 65535) {
      return failure('ILLEGAL_ACCESS_POINT', 'The access point has an address that cannot be. Give a host and a port.');
    }
  }
  return success(addresses);
}

/** `host:port`, `[v6]:port` or just a host; undefined when it is neither. */
export function parseAddress(text: string): Address | undefined {
  const bracket = text.startsWith('[') ? text.indexOf(']') : -1;
  const colon = text.lastIndexOf(':');
  const hasPort = colon > bracket && (bracket >= 0 || text.indexOf(':') === colon);
  const host = bracket >= 0 ? text.slice(1, bracket) : hasPort ? text.slice(0, colon) : text;
  const port = hasPort ? Number(text.slice(colon + 1)) : DEFAULT_PORT;
  if (host === '' || host.length > HOST_LENGTH_MAX || !Number.isInteger(port) || port < 1 || port > 65535)
    return undefined;
  return { host, port };
}

export function endpointsOf(choice: AddressChoice, index: number): Endpoints {
  const { host, port } = choice[index % choice.length]!;
  const family = isIP(host);
  const scheme = family === 4 ? ADDRESS_SCHEME.ipv4 : family === 6 ? ADDRESS_SCHEME.ipv6 : ADDRESS_SCHEME.domainName;
  return { scheme, addresses: [{ host, port }] };
}

export function addressText({ host, port }: Address): string {
  return `${host}:${port}`;
}

export function createAddressing(advertised: readonly string[]): {
  choose(accessPoint: AddressChoice | undefined, authority: string): AddressChoice;
} {
  const configured = advertised.map(parseAddress).filter((address) => address !== undefined);
  return {
    choose(accessPoint, authority) {
      if (configured.length > 0) return configured;
      if (accessPoint !== undefined) return accessPoint;
      return [parseAddress(authority) ?? { host: 'localhost', port: DEFAULT_PORT }];
    },
  };
}
