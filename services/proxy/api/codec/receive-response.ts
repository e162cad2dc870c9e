// The frames of a ReceiveMessage answer. A message frame is put together from the stored parts, with the server's
// fields behind the producer's inside the one system-properties submessage: some clients replace rather than merge a
// second one. The body is copied once, into the frame that goes to the socket.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { ProtobufWriter, varintBytes, writeVarint } from '@fulmar/core/protobuf.ts';
import type { Resource, Status } from '../messages.ts';
import { bytesTag, writeResource, writeStatus } from './fields.ts';

const FRAME_MESSAGE = bytesTag(2);
const MESSAGE_SYSTEM_PROPERTIES = bytesTag(3);
const MESSAGE_BODY = bytesTag(4);

export function statusFrame(status: Status): Buffer {
  const writer = new ProtobufWriter(64);
  writeStatus(writer, 1, status);
  return writer.finish();
}

export function deliveryTimestampFrame(nowMs: number): Buffer {
  return new ProtobufWriter(32).time(3, nowMs).finish();
}

/** The `topic` field of the messages of one answer: the resource as the client wrote it. */
export function topicField(topic: Resource): Buffer {
  const writer = new ProtobufWriter(64);
  writeResource(writer, 1, topic);
  return writer.finish();
}

export function messageFrame(topic: Buffer, message: PoppedMessage, storeHost: string): Buffer {
  const server = new ProtobufWriter(192)
    .time(9, message.storedAtMs)
    .string(10, storeHost)
    .string(12, message.receiptHandle)
    .varint(13, message.queueId)
    .varint(14, message.queueOffset)
    .time(15, message.invisibleMs)
    .varint(16, message.attempt)
    .finish();
  const { userPart, systemPart, body } = message;
  const systemBytes = systemPart.length + server.length;
  const messageBytes =
    topic.length +
    userPart.length +
    (1 + varintBytes(systemBytes) + systemBytes) +
    (1 + varintBytes(body.length) + body.length);
  const frame = Buffer.allocUnsafe(1 + varintBytes(messageBytes) + messageBytes);
  frame[0] = FRAME_MESSAGE;
  let at = writeVarint(frame, messageBytes, 1);
  frame.set(topic, at);
  at += topic.length;
  frame.set(userPart, at);
  at += userPart.length;
  frame[at++] = MESSAGE_SYSTEM_PROPERTIES;
  at = writeVarint(frame, systemBytes, at);
  frame.set(systemPart, at);
  at += systemPart.length;
  frame.set(server, at);
  at += server.length;
  frame[at++] = MESSAGE_BODY;
  at = writeVarint(frame, body.length, at);
  frame.set(body, at);
  return frame;
}
