// QueryRoute, which every client asks before its first message, and again and again for each of its topics.
import { ProtobufReader, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type { Codec } from '@fulmar/runtime/rpc.ts';
import type { Address, Endpoints, MessageQueue, QueryRouteRequest, QueryRouteResponse, Resource } from '../messages.ts';
import { bytesTag, readResource, readText, varintTag, writeResource, writeStatus } from './fields.ts';

const TOPIC = bytesTag(1);
const ENDPOINTS = bytesTag(2);
const ENDPOINTS_SCHEME = varintTag(1);
const ENDPOINTS_ADDRESS = bytesTag(2);
const ADDRESS_HOST = bytesTag(1);
const ADDRESS_PORT = varintTag(2);

/** About what a queue takes with names of usual length. */
const QUEUE_BYTES = 96;

/** Throws ProtobufError for bytes that are no QueryRouteRequest. */
export function decodeQueryRouteRequest(bytes: Buffer): QueryRouteRequest {
  let topic: Resource | undefined;
  let endpoints: Endpoints | undefined;
  const reader = new ProtobufReader(bytes);
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === TOPIC) topic = readResource(reader);
    else if (tag === ENDPOINTS) endpoints = readEndpoints(reader.message());
    else reader.skip(tag);
  }
  return { topic, endpoints };
}

function readEndpoints(reader: ProtobufReader): Endpoints {
  let scheme = 0;
  const addresses: Address[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === ENDPOINTS_SCHEME) scheme = reader.int32();
    else if (tag === ENDPOINTS_ADDRESS) addresses.push(readAddress(reader.message()));
    else reader.skip(tag);
  }
  return { scheme, addresses };
}

function readAddress(reader: ProtobufReader): Address {
  let host = '';
  let port = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === ADDRESS_HOST) host = readText(reader);
    else if (tag === ADDRESS_PORT) port = reader.int32();
    else reader.skip(tag);
  }
  return { host, port };
}

export function encodeQueryRouteResponse({ status, messageQueues }: QueryRouteResponse): Buffer {
  const writer = new ProtobufWriter(32 + messageQueues.length * QUEUE_BYTES);
  writeStatus(writer, 1, status);
  for (const queue of messageQueues) writeQueue(writer, queue);
  return writer.finish();
}

function writeQueue(writer: ProtobufWriter, queue: MessageQueue): void {
  const { topic, id, permission, broker, acceptMessageTypes } = queue;
  const mark = writer.begin(2);
  writeResource(writer, 1, topic);
  if (id !== 0) writer.varint(2, id);
  if (permission !== 0) writer.varint(3, permission);
  const brokerMark = writer.begin(4);
  if (broker.name !== '') writer.string(1, broker.name);
  if (broker.id !== 0) writer.varint(2, broker.id);
  writeEndpoints(writer, broker.endpoints);
  writer.end(brokerMark);
  // Each is a small number, which is one byte of the packed list.
  if (acceptMessageTypes.length > 0) writer.content(5, Uint8Array.from(acceptMessageTypes));
  writer.end(mark);
}

function writeEndpoints(writer: ProtobufWriter, { scheme, addresses }: Endpoints): void {
  const mark = writer.begin(3);
  if (scheme !== 0) writer.varint(1, scheme);
  for (const { host, port } of addresses) {
    const addressMark = writer.begin(2);
    if (host !== '') writer.string(1, host);
    if (port !== 0) writer.varint(2, port);
    writer.end(addressMark);
  }
  writer.end(mark);
}

export const QUERY_ROUTE: Codec<QueryRouteRequest, QueryRouteResponse> = {
  decodeRequest: decodeQueryRouteRequest,
  encodeResponse: encodeQueryRouteResponse,
};
