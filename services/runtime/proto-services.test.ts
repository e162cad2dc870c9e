import type { MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect, test } from '@jest/globals';
import { PROTO_SERVICES } from './proto-services.ts';
import { PROTO_DIRECTORY, protoFiles } from './protos.ts';

const KINDS = new Map([
  ['false,false', 'unary'],
  ['false,true', 'stream'],
  ['true,true', 'duplex'],
]);

function parsedMethods(file: string): (readonly [service: string, method: string, kind: string | undefined])[] {
  return Object.entries(loadSync(file, { includeDirs: [PROTO_DIRECTORY] }))
    .filter(([, definition]) => !('format' in definition))
    .flatMap(([service, definition]) =>
      Object.entries(definition as Record<string, MethodDefinition<object, object>>).map(
        ([method, { requestStream, responseStream }]) =>
          [service, method, KINDS.get(`${requestStream},${responseStream}`)] as const,
      ),
    );
}

test('the table of services says what the proto files say, no less and no more', () => {
  const told = Object.entries(PROTO_SERVICES).flatMap(([service, { file, methods }]) =>
    Object.entries(methods).flatMap(([kind, names]) => names.map((name) => [file, service, name, kind].join(' '))),
  );
  const parsed = protoFiles().flatMap((file) => parsedMethods(file).map((method) => [file, ...method].join(' ')));
  expect(told.sort()).toEqual(parsed.sort());
});
