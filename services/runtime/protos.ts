// The methods of the services in the protos of the repository, for servers and clients. A file is parsed when the first
// message of one of its services is read or written by no codec of ours. 64-bit integers and enumerations are numbers,
// absent submessages null or undefined.
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { protoLibrary } from './late-libraries.ts';
import { methodKind, protoService } from './proto-services.ts';
import type { Codec } from './rpc.ts';

export const PROTO_DIRECTORY = join(import.meta.dirname, '..', '..', 'proto');

const parsed = new Map<string, PackageDefinition>();

/** All proto files, as they import each other. */
export function protoFiles(): string[] {
  return readdirSync(PROTO_DIRECTORY, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.proto'))
    .map((entry) => relative(PROTO_DIRECTORY, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

function parse(file: string): PackageDefinition {
  let found = parsed.get(file);
  if (found === undefined) {
    found = protoLibrary().loadSync(file, {
      includeDirs: [PROTO_DIRECTORY],
      longs: Number,
      bytes: Buffer,
      defaults: true,
      keepCase: false,
    });
    parsed.set(file, found);
  }
  return found;
}

export type Definition<Request, Response> = MethodDefinition<Request, Response>;

/** The definition of a service by its full name; methods by their names in the proto (`SendMessage`). */
export function serviceDefinition(service: string): ServiceDefinition {
  return parse(protoService(service).file)[service] as ServiceDefinition;
}

/** The definition of `service/Method`, with the codec of the caller where it has one. */
export function methodDefinition<Request, Response>(
  service: string,
  method: string,
  codec: Codec<Request, Response> = {},
): Definition<Request, Response> {
  const kind = methodKind(service, method);
  const found = () => serviceDefinition(service)[method] as Definition<Request, Response>;
  return {
    path: `/${service}/${method}`,
    requestStream: kind === 'duplex',
    responseStream: kind !== 'unary',
    requestSerialize: codec.encodeRequest ?? ((request) => found().requestSerialize(request)),
    requestDeserialize: codec.decodeRequest ?? ((bytes) => found().requestDeserialize(bytes)),
    responseSerialize: codec.encodeResponse ?? ((response) => found().responseSerialize(response)),
    responseDeserialize: codec.decodeResponse ?? ((bytes) => found().responseDeserialize(bytes)),
  };
}
