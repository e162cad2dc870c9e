// The proto files as descriptors, for reflection. They are built here from the parsed files: the descriptors that the
// parser offers itself lack imports, full type names, the names of map entries and the order of oneofs that strict
// readers (Go, and grpcurl with it) insist on.
import { relative, sep } from 'node:path';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import protobuf from 'protobufjs';

/** Numbers of `google.protobuf.FieldDescriptorProto.Type`. */
const SCALARS: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const LABEL_OPTIONAL = 1;
const LABEL_REPEATED = 3;

export interface DescribedFile {
  readonly name: string;
  /** A `google.protobuf.FileDescriptorProto`. */
  readonly bytes: Buffer;
  readonly imports: readonly string[];
}

interface File {
  readonly name: string;
  readonly namespace: string;
  readonly messages: protobuf.Type[];
  readonly enums: protobuf.Enum[];
  readonly services: protobuf.Service[];
}

export interface DescribedFiles {
  byName(name: string): DescribedFile | undefined;
  /** The file that declares a service, method, message, field or enumeration. */
  bySymbol(symbol: string): DescribedFile | undefined;
}

export function describeFiles(directory: string, names: readonly string[]): DescribedFiles {
  const root = new protobuf.Root();
  const resolve = root.resolvePath.bind(root);
  root.resolvePath = (origin, target) => (names.includes(target) ? `${directory}/${target}` : resolve(origin, target));
  root.loadSync([...names], { keepCase: true });
  root.resolveAll();
  const fileNameOf = (of: protobuf.ReflectionObject): string => {
    const path = of.filename;
    // Files that come with the parser: each declares one message and is named after it.
    if (path === null || path.startsWith('google/')) return `google/protobuf/${of.name.toLowerCase()}.proto`;
    return relative(directory, path).split(sep).join('/');
  };

  const files = new Map<string, File>();
  const symbols = new Map<string, string>();
  const fileOf = (of: protobuf.ReflectionObject): File => {
    const name = fileNameOf(of);
    let file = files.get(name);
    if (file === undefined) {
      file = { name, namespace: nameOf(of.parent!), messages: [], enums: [], services: [] };
      files.set(name, file);
    }
    return file;
  };
  const addSymbols = (of: protobuf.ReflectionObject, file: string) => {
    symbols.set(nameOf(of), file);
    if (of instanceof protobuf.Type) {
      for (const member of [...of.fieldsArray, ...of.nestedArray]) addSymbols(member, file);
    } else if (of instanceof protobuf.Service) {
      for (const method of of.methodsArray) addSymbols(method, file);
    }
  };
  const collect = (namespace: protobuf.NamespaceBase) => {
    for (const member of namespace.nestedArray) {
      if (member instanceof protobuf.Type) fileOf(member).messages.push(member);
      else if (member instanceof protobuf.Enum) fileOf(member).enums.push(member);
      else if (member instanceof protobuf.Service) fileOf(member).services.push(member);
      else if (member instanceof protobuf.Namespace) {
        collect(member);
        continue;
      }
      addSymbols(member, fileNameOf(member));
    }
  };
  collect(root);

  const described = new Map<string, DescribedFile>();
  for (const file of files.values()) described.set(file.name, describe(file, symbols));
  return {
    byName: (name) => described.get(name),
    bySymbol: (symbol) => described.get(symbols.get(symbol) ?? ''),
  };
}

/** Full name without the leading dot. */
function nameOf(of: protobuf.ReflectionObject): string {
  return of.fullName.slice(1);
}

function describe(file: File, symbols: ReadonlyMap<string, string>): DescribedFile {
  const writer = new ProtobufWriter(4096);
  const imports = new Set<string>();
  const reference = (field: number, of: protobuf.ReflectionObject) => {
    writer.string(field, of.fullName);
    const declaredIn = symbols.get(nameOf(of));
    if (declaredIn !== undefined && declaredIn !== file.name) imports.add(declaredIn);
  };
  writer.string(1, file.name).string(2, file.namespace);
  for (const message of file.messages) writeMessage(writer, 4, message, reference);
  for (const enumeration of file.enums) writeEnum(writer, 5, enumeration);
  for (const service of file.services) writeService(writer, service, reference);
  for (const name of imports) writer.string(3, name);
  writer.string(12, 'proto3');
  return { name: file.name, bytes: writer.finish(), imports: [...imports] };
}

type Reference = (field: number, of: protobuf.ReflectionObject) => void;

function writeMessage(writer: ProtobufWriter, at: number, message: protobuf.Type, reference: Reference): void {
  const mark = writer.begin(at);
  writer.string(1, message.name);
  // Real oneofs first, then the synthetic ones of optional fields, as the compiler orders them.
  const isOptional = (oneof: protobuf.OneOf) => oneof.fieldsArray.some((field) => field.options?.proto3_optional);
  const oneofs = message.oneofsArray.toSorted((a, b) => Number(isOptional(a)) - Number(isOptional(b)));
  for (const field of message.fieldsArray) writeField(writer, field, oneofs, reference);
  for (const nested of message.nestedArray) {
    if (nested instanceof protobuf.Type) writeMessage(writer, 3, nested, reference);
    else if (nested instanceof protobuf.Enum) writeEnum(writer, 4, nested);
  }
  for (const field of message.fieldsArray) {
    if (field instanceof protobuf.MapField) writeMapEntry(writer, field, reference);
  }
  for (const oneof of oneofs) {
    const inner = writer.begin(8);
    writer.string(1, oneof.name).end(inner);
  }
  writer.end(mark);
}

function writeField(
  writer: ProtobufWriter,
  field: protobuf.Field,
  oneofs: readonly protobuf.OneOf[],
  reference: Reference,
): void {
  const isMap = field instanceof protobuf.MapField;
  const mark = writer.begin(2);
  writer.string(1, field.name).varint(3, field.id);
  writer.varint(4, field.repeated || isMap ? LABEL_REPEATED : LABEL_OPTIONAL);
  if (isMap) writer.varint(5, TYPE_MESSAGE).string(6, `${field.parent!.fullName}.${entryName(field)}`);
  else writeType(writer, field.type, field.resolvedType, reference);
  if (field.partOf !== null) writer.varint(9, oneofs.indexOf(field.partOf));
  writer.string(10, camelCase(field.name));
  if (field.options?.proto3_optional) writer.bool(17, true);
  writer.end(mark);
}

function writeType(
  writer: ProtobufWriter,
  type: string,
  resolved: protobuf.Type | protobuf.Enum | null,
  reference: Reference,
): void {
  const scalar = SCALARS[type];
  if (scalar !== undefined) {
    writer.varint(5, scalar);
    return;
  }
  if (resolved === null) throw new Error(`The type ${type} is declared nowhere.`);
  writer.varint(5, resolved instanceof protobuf.Enum ? TYPE_ENUM : TYPE_MESSAGE);
  reference(6, resolved);
}

function writeMapEntry(writer: ProtobufWriter, field: protobuf.MapField, reference: Reference): void {
  const mark = writer.begin(3);
  writer.string(1, entryName(field));
  const key = writer.begin(2);
  writer.string(1, 'key').varint(3, 1).varint(4, LABEL_OPTIONAL);
  writeType(writer, field.keyType, null, reference);
  writer.string(10, 'key').end(key);
  const value = writer.begin(2);
  writer.string(1, 'value').varint(3, 2).varint(4, LABEL_OPTIONAL);
  writeType(writer, field.type, field.resolvedType, reference);
  writer.string(10, 'value').end(value);
  const options = writer.begin(7);
  writer.bool(7, true).end(options);
  writer.end(mark);
}

function writeEnum(writer: ProtobufWriter, at: number, enumeration: protobuf.Enum): void {
  const mark = writer.begin(at);
  writer.string(1, enumeration.name);
  for (const [name, number] of Object.entries(enumeration.values)) {
    const value = writer.begin(2);
    writer.string(1, name).varint(2, number).end(value);
  }
  writer.end(mark);
}

function writeService(writer: ProtobufWriter, service: protobuf.Service, reference: Reference): void {
  const mark = writer.begin(6);
  writer.string(1, service.name);
  for (const method of service.methodsArray) {
    const inner = writer.begin(2);
    writer.string(1, method.name);
    reference(2, method.resolvedRequestType!);
    reference(3, method.resolvedResponseType!);
    if (method.requestStream) writer.bool(5, true);
    if (method.responseStream) writer.bool(6, true);
    writer.end(inner);
  }
  writer.end(mark);
}

function camelCase(name: string): string {
  return name.replace(/_+([a-zA-Z0-9])/g, (_all, letter: string) => letter.toUpperCase());
}

/** As the compiler names it: `user_properties` gives `UserPropertiesEntry`. */
function entryName(field: protobuf.MapField): string {
  const name = camelCase(field.name);
  return `${name[0]!.toUpperCase()}${name.slice(1)}Entry`;
}
