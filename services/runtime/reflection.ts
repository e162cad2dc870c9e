// Server reflection, v1 and v1alpha: tells tools such as grpcurl which services this server has and how their messages
// look. The descriptors are built when somebody first asks.
import type { DescribedFile, DescribedFiles } from './file-descriptors.ts';
import { PROTO_DIRECTORY, protoFiles } from './protos.ts';
import { duplex, GRPC_STATUS, type ServiceBinding, UNEXPECTED } from './rpc.ts';

interface ReflectionRequest {
  readonly host?: string;
  readonly listServices?: string;
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly fileContainingExtension?: unknown;
  readonly allExtensionNumbersOfType?: string;
}

let described: Promise<DescribedFiles> | undefined;

function describedFiles(): Promise<DescribedFiles> {
  described ??= import('./file-descriptors.ts').then(({ describeFiles }) =>
    describeFiles(PROTO_DIRECTORY, protoFiles()),
  );
  return described;
}

/** The file and everything that it imports, each once, itself first. */
function withImports(file: DescribedFile, all: DescribedFiles): Buffer[] {
  const found = new Map<string, DescribedFile>();
  const waiting = [file];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next.name)) continue;
    found.set(next.name, next);
    for (const name of next.imports) waiting.push(all.byName(name)!);
  }
  return [...found.values()].map(({ bytes }) => bytes);
}

function answer(request: ReflectionRequest, services: readonly string[], files: DescribedFiles): object {
  if (request.listServices !== undefined) {
    return { listServicesResponse: { service: services.map((name) => ({ name })) } };
  }
  let file: DescribedFile | undefined;
  if (request.fileByFilename !== undefined) file = files.byName(request.fileByFilename);
  else if (request.fileContainingSymbol !== undefined) file = files.bySymbol(request.fileContainingSymbol);
  if (file !== undefined) return { fileDescriptorResponse: { fileDescriptorProto: withImports(file, files) } };
  return { errorResponse: { errorCode: GRPC_STATUS.NOT_FOUND, errorMessage: 'There is nothing of this name.' } };
}

/** `services`: full names of what is told to exist. */
export function reflectionServices(services: readonly string[]): ServiceBinding[] {
  const names = [...services, 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];
  const info = duplex<ReflectionRequest, object>((_call, port) => {
    let answered = Promise.resolve();
    port.onMessage((request) => {
      answered = describedFiles().then(
        (files) => {
          port.write({ validHost: request.host ?? '', originalRequest: request, ...answer(request, names, files) });
        },
        () => port.fail(UNEXPECTED.grpcStatus, UNEXPECTED.message),
      );
    });
    port.onEnd(() => void answered.then(() => port.end()));
  });
  return ['v1', 'v1alpha'].map((version) => ({
    service: `grpc.reflection.${version}.ServerReflection`,
    methods: { ServerReflectionInfo: info },
  }));
}
