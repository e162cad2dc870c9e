// RPCs of the service whose time has not come. They answer in-band, with gRPC status OK, so that a client reads a code
// and a sentence instead of guessing from a transport error.
import { FaultError, fault } from '@fulmar/core/errors.ts';
import { unary } from './answering.ts';
import type { UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import type { StatusResponse } from './messages.ts';

const NOT_IMPLEMENTED = fault('NOT_IMPLEMENTED', 'not implemented yet');

export function notImplemented(context: ProxyContext, name: string): UnaryHandler<unknown, StatusResponse> {
  return unary<unknown, StatusResponse>(context, {
    name,
    needsClientId: false,
    async handle() {
      throw new FaultError(NOT_IMPLEMENTED);
    },
    refuse: (status) => ({ status }),
  });
}
