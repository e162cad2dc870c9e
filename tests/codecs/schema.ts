// The protos of the repository as protobufjs reads them: the reference that codecs written by hand are held against.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PROTO_DIRECTORY, protoFiles } from '@fulmar/runtime/protos.ts';
import protobuf from 'protobufjs';

export type Field = protobuf.Field;
export type Type = protobuf.Type;

let loaded: protobuf.Root | undefined;

function root(): protobuf.Root {
  if (loaded !== undefined) return loaded;
  loaded = new protobuf.Root();
  loaded.resolvePath = (_origin, target) => {
    const path = join(PROTO_DIRECTORY, target);
    // The well-known types come with protobufjs.
    return existsSync(path) ? path : target;
  };
  loaded.loadSync(protoFiles());
  loaded.resolveAll();
  return loaded;
}

/** A message type by its full name. */
export function typeNamed(name: string): Type {
  return root().lookupType(name);
}

/** Undefined for a field that holds no submessage. */
export function submessageOf({ resolvedType }: Field): Type | undefined {
  return resolvedType instanceof protobuf.Type ? resolvedType : undefined;
}

/** Undefined for a field that is no enumeration. */
export function numbersOf({ resolvedType }: Field): readonly number[] | undefined {
  return resolvedType instanceof protobuf.Enum ? Object.values(resolvedType.values) : undefined;
}

/** As plain values: what proto3 cannot tell from an absent field is absent, numbers are numbers. */
export function plain(type: Type, bytes: Uint8Array): Record<string, unknown> {
  const options = { longs: Number, bytes: Buffer, arrays: true, objects: true };
  return withoutDefaults(type, type.toObject(type.decode(bytes), options));
}

function withoutDefaults(type: Type, message: Record<string, unknown>): Record<string, unknown> {
  for (const field of type.fieldsArray) {
    const value = message[field.name];
    if (value === undefined) continue;
    const submessage = submessageOf(field);
    if (field.map) continue;
    if (submessage === undefined) {
      const isEmpty = value === '' || value === 0 || value === false || (Buffer.isBuffer(value) && value.length === 0);
      if (isEmpty && field.partOf === null) delete message[field.name];
    } else if (!field.repeated) withoutDefaults(submessage, value as Record<string, unknown>);
    else for (const each of value as readonly Record<string, unknown>[]) withoutDefaults(submessage, each);
  }
  return message;
}
