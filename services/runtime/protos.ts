// The protos of the repository, loaded once when first asked for: definitions of services for servers and clients.
// 64-bit integers and enumerations are numbers, absent submessages null or undefined.
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import type { Codec } from './rpc.ts';

export const PROTO_DIRECTORY = join(import.meta.dirname, '..', '..', 'proto');

let loaded: PackageDefinition | undefined;

/** All proto files, as they import each other. */
export function protoFiles(): string[] {
  return readdirSync(PROTO_DIRECTORY, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.proto'))
    .map((entry) => relative(PROTO_DIRECTORY, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

function protos(): PackageDefinition {
  loaded ??= loadSync(protoFiles(), {
    includeDirs: [PROTO_DIRECTORY],
    longs: Number,
    bytes: Buffer,
    defaults: true,
    keepCase: false,
  });
  return loaded;
}

export type Definition<Request, Response> = MethodDefinition<Request, Response> & { readonly originalName?: string };

/** The definition of a service by its full name; methods by their names in the proto (`SendMessage`). */
export function serviceDefinition(service: string): ServiceDefinition {
  const found = protos()[service];
  if (found === undefined || 'format' in found) throw new Error(`There is no service ${service} in the protos.`);
  return found as ServiceDefinition;
}

/** The definition of `service/Method`, with the codec of the caller where it has one. */
export function methodDefinition<Request, Response>(
  service: string,
  method: string,
  codec: Codec<Request, Response> = {},
): Definition<Request, Response> {
  const found = serviceDefinition(service)[method] as Definition<Request, Response> | undefined;
  if (found === undefined) throw new Error(`There is no method ${method} in ${service}.`);
  return {
    ...found,
    requestSerialize: codec.encodeRequest ?? found.requestSerialize,
    requestDeserialize: codec.decodeRequest ?? found.requestDeserialize,
    responseSerialize: codec.encodeResponse ?? found.responseSerialize,
    responseDeserialize: codec.decodeResponse ?? found.responseDeserialize,
  };
}
