// `HOST:PORT` and its two parts.

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `[::1]:80`, `name:80`, or `:80` for every interface. The text has been checked to be an address. */
export function splitAddress(text: string): Address {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon);
  const inBrackets = host.startsWith('[') && host.endsWith(']');
  return { host: (inBrackets ? host.slice(1, -1) : host) || '0.0.0.0', port: Number(text.slice(colon + 1)) };
}

export function joinAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether `text` is `HOST:PORT` with a host and a port from 1 to 65535. */
export function isReachableAddress(text: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:\s[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  return match !== null && port >= 1 && port <= 65_535;
}
