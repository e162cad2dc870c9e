// The payload of a message record. What the broker decides by stands in front in fixed places; the parts of the
// client's own Message protobuf follow as they came, so that delivering a message copies bytes and decodes nothing.
//
//   u8  payload version (1)      u32 topic id        u16 queue id        u32 tag hash
//   u64 message group hash       u64 born at ms      u64 stored at ms    u64 deliver at ms
//   u8  number of key hashes     u32 each
//   u8  message id length, bytes
//   u32 length of user part      u32 length of system part               u32 length of body
//   the three parts

import type { MessageToStore } from '@fulmar/core/broker-api.ts';
import { hash32, hash53 } from '@fulmar/core/hash.ts';
import { readUint64, writeUint32, writeUint64 } from '@fulmar/core/record.ts';
import { PayloadReader } from './bytes.ts';

export const MESSAGE_PAYLOAD_VERSION = 1;
const TOPIC_AT = 1;
const QUEUE_AT = 5;
const TAG_AT = 7;
const GROUP_AT = 11;
const BORN_AT = 19;
const STORED_AT = 27;
const DELIVER_AT = 35;
const KEY_COUNT_AT = 43;
const KEYS_AT = 44;
const FIXED_BYTES = 1 + 4 + 2 + 4 + 8 * 4 + 1 + 1 + 12;

export interface MessageRecord {
  readonly topicId: number;
  readonly queueId: number;
  readonly tagHash: number;
  readonly groupHash: number;
  readonly bornAtMs: number;
  /** Wall clock of the broker that took it. */
  readonly storedAtMs: number;
  readonly deliverAtMs: number;
  readonly keyHashes: readonly number[];
  readonly messageId: string;
  userPart: Uint8Array;
  systemPart: Uint8Array;
  body: Uint8Array;
}

const NOTHING = new Uint8Array();

/** For a record that is written and waits for its commit: nobody looks at these before, and the log has them. */
export function dropParts(record: MessageRecord): void {
  record.userPart = NOTHING;
  record.systemPart = NOTHING;
  record.body = NOTHING;
}

/** 0 stands for "no tag". */
export function tagHashOf(tag: string): number {
  return tag === '' ? 0 : hash32(tag) || 1;
}

export function messageRecordOf(
  message: MessageToStore,
  topicId: number,
  queueId: number,
  storedAtMs: number,
): MessageRecord {
  return {
    topicId,
    queueId,
    tagHash: tagHashOf(message.tag),
    groupHash: hash53(message.messageGroup),
    bornAtMs: message.bornAtMs,
    storedAtMs,
    deliverAtMs: message.deliverAtMs,
    keyHashes: message.keys.length === 0 ? NO_KEYS : message.keys.map((key) => hash32(key)),
    messageId: message.messageId,
    userPart: message.userPart,
    systemPart: message.systemPart,
    body: message.body,
  };
}

const NO_KEYS: readonly number[] = [];

export function messagePayloadBytes(record: MessageRecord): number {
  return (
    FIXED_BYTES +
    record.keyHashes.length * 4 +
    Buffer.byteLength(record.messageId) +
    record.userPart.length +
    record.systemPart.length +
    record.body.length
  );
}

export function writeMessagePayload(target: Buffer, from: number, record: MessageRecord): void {
  const { userPart, systemPart, body, keyHashes } = record;
  target[from] = MESSAGE_PAYLOAD_VERSION;
  writeUint32(target, record.topicId, from + 1);
  target[from + 5] = record.queueId >>> 8;
  target[from + 6] = record.queueId;
  writeUint32(target, record.tagHash, from + 7);
  writeUint64(target, record.groupHash, from + 11);
  writeUint64(target, record.bornAtMs, from + 19);
  writeUint64(target, record.storedAtMs, from + 27);
  writeUint64(target, record.deliverAtMs, from + 35);
  target[from + 43] = keyHashes.length;
  let at = from + 44;
  for (let i = 0; i < keyHashes.length; i++, at += 4) writeUint32(target, keyHashes[i]!, at);
  const idLength = target.write(record.messageId, at + 1, 'utf8');
  target[at] = idLength;
  at += 1 + idLength;
  writeUint32(target, userPart.length, at);
  writeUint32(target, systemPart.length, at + 4);
  writeUint32(target, body.length, at + 8);
  at += 12;
  // Copying nothing is a call too.
  if (userPart.length > 0) target.set(userPart, at);
  at += userPart.length;
  target.set(systemPart, at);
  target.set(body, at + systemPart.length);
}

/** When the message of a payload was stored, without reading the rest. */
export function storedAtMsIn(bytes: Buffer, from: number): number {
  return readUint64(bytes, from + STORED_AT);
}

/** Says in a payload that is in place already when its message was stored. */
export function setStoredAtMs(bytes: Buffer, from: number, storedAtMs: number): void {
  writeUint64(bytes, storedAtMs, from + STORED_AT);
}

function checkVersion(version: number): void {
  if (version === MESSAGE_PAYLOAD_VERSION) return;
  throw new Error(`message payload version ${version} is newer than this program; run the version that wrote it`);
}

/**
 * A message that stays encoded: what is asked for is read then, and nothing else. Of a message that only passes
 * through, the broker needs a few numbers; to decode it makes an object, three views and a text for each.
 */
export class EncodedMessage implements MessageRecord {
  private readonly bytes: Buffer;
  private readonly from: number;
  private readonly end: number;

  /** The payload in `bytes[from, end)`, which must stay as it is. */
  constructor(bytes: Buffer, from: number, end: number) {
    checkVersion(bytes[from]!);
    this.bytes = bytes;
    this.from = from;
    this.end = end;
  }

  get topicId(): number {
    return this.bytes.readUInt32BE(this.from + TOPIC_AT);
  }

  get queueId(): number {
    return this.bytes.readUInt16BE(this.from + QUEUE_AT);
  }

  get tagHash(): number {
    return this.bytes.readUInt32BE(this.from + TAG_AT);
  }

  get groupHash(): number {
    return readUint64(this.bytes, this.from + GROUP_AT);
  }

  get bornAtMs(): number {
    return readUint64(this.bytes, this.from + BORN_AT);
  }

  get storedAtMs(): number {
    return readUint64(this.bytes, this.from + STORED_AT);
  }

  get deliverAtMs(): number {
    return readUint64(this.bytes, this.from + DELIVER_AT);
  }

  get keyHashes(): readonly number[] {
    const count = this.bytes[this.from + KEY_COUNT_AT]!;
    if (count === 0) return NO_KEYS;
    return Array.from({ length: count }, (_, i) => this.bytes.readUInt32BE(this.from + KEYS_AT + i * 4));
  }

  get messageId(): string {
    const at = this.from + KEYS_AT + this.bytes[this.from + KEY_COUNT_AT]! * 4;
    return this.bytes.toString('utf8', at + 1, at + 1 + this.bytes[at]!);
  }

  get userPart(): Uint8Array {
    return readMessagePayload(this.bytes, this.from, this.end).userPart;
  }

  get systemPart(): Uint8Array {
    return readMessagePayload(this.bytes, this.from, this.end).systemPart;
  }

  get body(): Uint8Array {
    return readMessagePayload(this.bytes, this.from, this.end).body;
  }
}

/** The parts are views into `bytes`. */
export function readMessagePayload(bytes: Buffer, from: number, end: number): MessageRecord {
  const reader = new PayloadReader(bytes, from, end);
  checkVersion(reader.uint8());
  const topicId = reader.uint32();
  const queueId = reader.uint16();
  const tagHash = reader.uint32();
  const groupHash = reader.uint64();
  const bornAtMs = reader.uint64();
  const storedAtMs = reader.uint64();
  const deliverAtMs = reader.uint64();
  const keyCount = reader.uint8();
  const keyHashes: number[] = keyCount === 0 ? (NO_KEYS as number[]) : [];
  for (let i = 0; i < keyCount; i++) keyHashes.push(reader.uint32());
  const messageId = reader.view(reader.uint8()).toString('utf8');
  const userLength = reader.uint32();
  const systemLength = reader.uint32();
  const bodyLength = reader.uint32();
  return {
    topicId,
    queueId,
    tagHash,
    groupHash,
    bornAtMs,
    storedAtMs,
    deliverAtMs,
    keyHashes,
    messageId,
    userPart: reader.view(userLength),
    systemPart: reader.view(systemLength),
    body: reader.view(bodyLength),
  };
}
