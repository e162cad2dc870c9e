// The port of a gRPC server, whoever speaks HTTP/2 on it: what its options say of the port, and what becomes of
// connections that are refused.
import type { NativeServerOptions } from './edge/native-server.ts';
import { type OnePort, type OnePortOptions, openOnePort } from './one-port.ts';
import { refusals } from './refusals.ts';

export function openServerPort(
  options: NativeServerOptions,
  onConnection: OnePortOptions['onConnection'],
): Promise<OnePort> {
  const { limits, source, tls } = options;
  return openOnePort({
    host: options.host,
    port: options.port,
    ...(source === undefined ? {} : { source }),
    ...(tls === undefined ? {} : { tls }),
    plaintext: options.plaintext,
    connectionsMax: limits.connections,
    handshakeMs: limits.handshakeMs,
    onConnection,
    onRefused: refusals(options.logger, options.observer),
  });
}
