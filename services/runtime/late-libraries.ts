// Libraries that many processes never need, loaded at their first use: each takes 15 to 60 ms and 7 to 17 MiB.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export function protoLibrary(): typeof import('@grpc/proto-loader') {
  return require('@grpc/proto-loader') as typeof import('@grpc/proto-loader');
}
