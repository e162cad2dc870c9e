// Reads the call that matters most (`Send` in broker.proto). Body, user part and system part stay views of the frame.
import type { MessageToStore, SendCommand } from '@fulmar/core/broker-api.ts';
import type { ProtobufReader } from '@fulmar/core/protobuf.ts';
import type { HalfOrigin } from '@fulmar/core/transaction-api.ts';
import { EMPTY_BYTES, readPriority } from './fields.ts';
import { readHalfOrigin } from './transactions.ts';

export function readSend(reader: ProtobufReader): SendCommand {
  let topic = '';
  const messages: MessageToStore[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) topic = reader.string();
    else if (tag >>> 3 === 2) messages.push(readMessage(reader.message()));
    else reader.skip(tag);
  }
  return { topic, messages };
}

function readMessage(reader: ProtobufReader): MessageToStore {
  let half: HalfOrigin | undefined;
  let priority: number | undefined;
  const message = {
    messageId: '',
    type: 0,
    tag: '',
    keys: [] as string[],
    messageGroup: '',
    bornAtMs: 0,
    deliverAtMs: 0,
    userPart: EMPTY_BYTES,
    systemPart: EMPTY_BYTES,
    body: EMPTY_BYTES,
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    switch (tag >>> 3) {
      case 1:
        message.messageId = reader.string();
        break;
      case 2:
        message.type = reader.int32();
        break;
      case 3:
        message.tag = reader.string();
        break;
      case 4:
        message.keys.push(reader.string());
        break;
      case 5:
        message.messageGroup = reader.string();
        break;
      case 6:
        message.bornAtMs = reader.int64();
        break;
      case 7:
        message.deliverAtMs = reader.int64();
        break;
      case 8:
        message.userPart = reader.view();
        break;
      case 9:
        message.systemPart = reader.view();
        break;
      case 10:
        message.body = reader.view();
        break;
      case 15:
        half = readHalfOrigin(reader.message());
        break;
      case 16:
        priority = readPriority(reader);
        break;
      default:
        reader.skip(tag);
    }
  }
  if (half === undefined && priority === undefined) return message;
  return { ...message, ...(half && { half }), ...(priority !== undefined && { priority }) };
}
