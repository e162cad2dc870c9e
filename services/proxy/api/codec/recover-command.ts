// The question to a producer what became of its half message, with the message as complete as a delivered one: some
// clients fail without its digest. Put together from the stored bytes and read by the protos, because Telemetry speaks
// in objects; questions are rare.
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type { HalfMessage } from '@fulmar/core/transaction-api.ts';
import { methodDefinition } from '@fulmar/runtime/protos.ts';
import type { Resource, TelemetryCommand } from '../messages.ts';
import { writeResource } from './fields.ts';

const COMMAND_RECOVER = 5;

/** `topic` is written as the producer itself wrote it. */
export function recoverCommand(topic: Resource, half: HalfMessage): TelemetryCommand {
  const { transaction, queueId, userPart, systemPart, body } = half;
  const writer = new ProtobufWriter(256 + userPart.length + systemPart.length + body.length);
  const command = writer.begin(COMMAND_RECOVER);
  const message = writer.begin(1);
  writeResource(writer, 1, topic);
  writer.raw(userPart);
  const system = writer.begin(3);
  writer.raw(systemPart).time(9, transaction.storedAtMs).varint(13, queueId);
  writer.end(system);
  writer.content(4, body);
  writer.end(message);
  writer.string(2, transaction.transactionId);
  const bytes = writer.end(command).finish();
  return methodDefinition<unknown, TelemetryCommand>(
    'apache.rocketmq.v2.MessagingService',
    'Telemetry',
  ).responseDeserialize(bytes);
}
