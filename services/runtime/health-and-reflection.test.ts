import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import protobuf from 'protobufjs';
import { connectGrpc, type GrpcClient } from './grpc-client.ts';
import type { GrpcServer } from './grpc-server.ts';
import { RpcFailure } from './rpc.ts';
import { startTestServer, until } from './testing.ts';

let server: GrpcServer;
let client: GrpcClient;

beforeEach(async () => {
  server = await startTestServer({ transport: 'native' });
  client = connectGrpc(`127.0.0.1:${server.port}`);
});

afterEach(async () => {
  client.close();
  await server.stop(0);
});

const CHECK = { service: 'grpc.health.v1.Health', name: 'Check' };
const WATCH = { service: 'grpc.health.v1.Health', name: 'Watch' };
const MESSAGING = 'apache.rocketmq.v2.MessagingService';

describe('health', () => {
  test('tells of the process and of each service, as they are now', async () => {
    expect(await client.unary(CHECK, { service: '' })).toEqual({ status: 1 });
    expect(await client.unary(CHECK, { service: MESSAGING })).toEqual({ status: 1 });
    server.health.set(MESSAGING, false);
    expect(await client.unary(CHECK, { service: MESSAGING })).toEqual({ status: 2 });
  });

  test('answers NOT_FOUND for a service that there is not', async () => {
    const failure: unknown = await client.unary(CHECK, { service: 'no.such' }).catch((error) => error);
    expect(failure).toBeInstanceOf(RpcFailure);
    expect((failure as RpcFailure).grpcStatus).toBe(5);
  });

  test('tells watchers of every change, and ends with NOT_SERVING when the server stops', async () => {
    const seen: number[] = [];
    let ended = false;
    client.stream<object, { status: number }>(
      WATCH,
      { service: '' },
      {
        onMessage: ({ status }) => seen.push(status),
        onEnd: () => {
          ended = true;
        },
      },
    );
    await until(() => seen.length === 1);
    server.health.set('', false);
    server.health.set('', true);
    await until(() => seen.length === 3);
    await server.stop(1_000);
    await until(() => ended);
    expect(seen).toEqual([1, 2, 1, 2]);
  });
});

interface ReflectionAnswer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

async function reflect(version: string, request: object): Promise<ReflectionAnswer> {
  const answers: ReflectionAnswer[] = [];
  const call = client.duplex<object, ReflectionAnswer>(
    { service: `grpc.reflection.${version}.ServerReflection`, name: 'ServerReflectionInfo' },
    { onMessage: (answer) => answers.push(answer), onEnd: () => {} },
  );
  call.write(request);
  call.finish();
  await until(() => answers.length === 1);
  return answers[0]!;
}

/** The fields of google.protobuf.FileDescriptorProto that the test looks at. */
const DESCRIPTOR = protobuf.parse(`syntax = "proto3";
  message File { string name = 1; string package = 2; repeated string dependency = 3; repeated Message messages = 4;
    repeated Service services = 6; string syntax = 12; }
  message Message {
    string name = 1; repeated Field fields = 2; repeated Message nested = 3; repeated Oneof oneofs = 8;
  }
  message Field { string name = 1; int32 number = 3; string type_name = 6; optional int32 oneof_index = 9;
    bool proto3_optional = 17; }
  message Oneof { string name = 1; }
  message Service { string name = 1; repeated Method methods = 2; }
  message Method { string name = 1; string input = 2; string output = 3; }`).root;

interface Field {
  name: string;
  number: number;
  typeName: string;
  oneofIndex: number;
  proto3Optional: boolean;
}
interface Message {
  name: string;
  fields: Field[];
  nested: Message[];
  oneofs: { name: string }[];
}
interface File {
  name: string;
  package: string;
  dependency: string[];
  messages: Message[];
  services: { name: string; methods: { name: string; input: string; output: string }[] }[];
}

const filesOf = (answer: ReflectionAnswer): File[] => {
  const type = DESCRIPTOR.lookupType('File');
  return (answer.fileDescriptorResponse?.fileDescriptorProto ?? []).map(
    (bytes) => type.toObject(type.decode(bytes), { defaults: true }) as File,
  );
};

describe.each(['v1', 'v1alpha'])('reflection %s', (version) => {
  test('lists the services', async () => {
    const { listServicesResponse } = await reflect(version, { listServices: '' });
    expect(listServicesResponse!.service.map(({ name }) => name)).toEqual([
      MESSAGING,
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
  });

  test('gives the files of a symbol with everything they import, so that a strict reader can link them', async () => {
    const files = filesOf(await reflect(version, { fileContainingSymbol: `${MESSAGING}.SendMessage` }));
    expect(files.map(({ name }) => name).sort()).toEqual([
      'apache/rocketmq/v2/definition.proto',
      'apache/rocketmq/v2/service.proto',
      'google/protobuf/duration.proto',
      'google/protobuf/timestamp.proto',
    ]);
    const declared = new Map<string, string>();
    const declare = (file: File, prefix: string, message: Message) => {
      declared.set(`${prefix}.${message.name}`, file.name);
      for (const nested of message.nested) declare(file, `${prefix}.${message.name}`, nested);
    };
    for (const file of files) for (const message of file.messages) declare(file, `.${file.package}`, message);
    const service = files.find((file) => file.services.length > 0)!;
    expect(service.services[0]!.methods).toHaveLength(17);
    for (const { input, output } of service.services[0]!.methods) {
      for (const type of [input, output]) expect(declared.get(type)).toBe(service.name);
    }
    for (const file of files) {
      for (const type of file.messages.flatMap(({ fields }) => fields.map(({ typeName }) => typeName))) {
        const where = declared.get(type);
        if (where !== undefined && where !== file.name) expect(file.dependency).toContain(where);
      }
    }
  });

  test('describes map entries and optional fields as compilers do', async () => {
    const files = filesOf(await reflect(version, { fileByFilename: 'apache/rocketmq/v2/definition.proto' }));
    const message = files[0]!.messages.find(({ name }) => name === 'Message')!;
    expect(message.nested.map(({ name }) => name)).toEqual(['UserPropertiesEntry']);
    expect(message.fields[1]).toMatchObject({
      name: 'user_properties',
      number: 2,
      typeName: '.apache.rocketmq.v2.Message.UserPropertiesEntry',
    });
    const settings = files[0]!.messages.find(({ name }) => name === 'Settings')!;
    expect(settings.oneofs[0]!.name).toBe('pub_sub');
    for (const field of settings.fields.filter(({ proto3Optional }) => proto3Optional)) {
      expect(settings.oneofs[field.oneofIndex]!.name).toBe(`_${field.name}`);
    }
  });

  test('says NOT_FOUND of what there is not', async () => {
    for (const request of [{ fileByFilename: 'no.proto' }, { fileContainingSymbol: 'no.such' }]) {
      expect((await reflect(version, request)).errorResponse!.errorCode).toBe(5);
    }
  });
});
