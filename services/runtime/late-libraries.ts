// Libraries that many processes never need, loaded at their first use: each takes 15 to 60 ms and 7 to 17 MiB.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
let grpc: typeof import('@grpc/grpc-js') | undefined;

export function grpcLibrary(): typeof import('@grpc/grpc-js') {
  if (grpc === undefined) {
    grpc = require('@grpc/grpc-js') as typeof import('@grpc/grpc-js');
    // It writes to the console by itself otherwise, at the wish of any client with odd headers.
    grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  }
  return grpc;
}

export function protoLibrary(): typeof import('@grpc/proto-loader') {
  return require('@grpc/proto-loader') as typeof import('@grpc/proto-loader');
}
