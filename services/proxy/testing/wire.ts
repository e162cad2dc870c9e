// Messages of apache.rocketmq.v2 between objects and bytes, by the protos, so that tests meet the handlers with exactly
// what a transport would bring and read their answers as a client would.
import { serviceDefinition } from '@fulmar/runtime/protos.ts';

const SERVICE = 'apache.rocketmq.v2.MessagingService';

// Test code writes requests as literals and reads answers field by field.
// biome-ignore lint/suspicious/noExplicitAny: a message of any type
export type Message = any;

export function encodeRequest(method: string, request: Message): Buffer {
  return serviceDefinition(SERVICE)[method]!.requestSerialize(request);
}

export function decodeRequest(method: string, bytes: Buffer): Message {
  return serviceDefinition(SERVICE)[method]!.requestDeserialize(bytes);
}

export function encodeResponse(method: string, response: Message): Buffer {
  return serviceDefinition(SERVICE)[method]!.responseSerialize(response);
}

export function decodeResponse(method: string, bytes: Buffer): Message {
  return serviceDefinition(SERVICE)[method]!.responseDeserialize(bytes);
}
