// Which method of `fulmar.v1.NameServer` is carried out by which handler.
import { duplex, type ServiceBinding, stream, unary } from '@fulmar/runtime/rpc.ts';
import { nameServerHandlers } from './handlers.ts';
import type { NameService } from './name-service.ts';

export function nameServerBinding(service: NameService): ServiceBinding {
  const handlers = nameServerHandlers(service);
  return {
    service: 'fulmar.v1.NameServer',
    methods: {
      Register: duplex(handlers.register),
      GetRoute: unary(handlers.getRoute),
      ListTopics: unary(handlers.listTopics),
      ListBrokers: unary(handlers.listBrokers),
      Watch: stream(handlers.watch),
    },
  };
}
