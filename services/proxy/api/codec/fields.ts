// Fields that several hot messages share. Text must be UTF-8, as proto3 demands: passed on unchecked, one bad byte of a
// producer would break every consumer that is handed the message.
import { isUtf8 } from 'node:buffer';
import { ProtobufError, ProtobufReader, type ProtobufWriter, WIRE_BYTES, WIRE_VARINT } from '@fulmar/core/protobuf.ts';
import type { Resource, Status } from '../messages.ts';

export const bytesTag = (field: number): number => (field << 3) | WIRE_BYTES;
export const varintTag = (field: number): number => (field << 3) | WIRE_VARINT;

/** Ids, topics and handles: nearly always plain ASCII, which needs neither a view of the bytes nor a check of them. */
export function readText(reader: ProtobufReader): string {
  const { bytes } = reader;
  const length = reader.length();
  const from = reader.position;
  const end = from + length;
  reader.position = end;
  for (let at = from; at < end; at++) if (bytes[at]! >= 0x80) return unicodeText(bytes.subarray(from, end));
  return length === 0 ? '' : bytes.toString('latin1', from, end);
}

function unicodeText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new ProtobufError('a text is not UTF-8');
  return bytes.toString('utf8');
}

const RESOURCE_NAMESPACE = bytesTag(1);
const RESOURCE_NAME = bytesTag(2);

export function readResource(parent: ProtobufReader): Resource {
  const reader = parent.message();
  let resourceNamespace = '';
  let name = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === RESOURCE_NAMESPACE) resourceNamespace = readText(reader);
    else if (tag === RESOURCE_NAME) name = readText(reader);
    else reader.skip(tag);
  }
  return { resourceNamespace, name };
}

export function writeResource(writer: ProtobufWriter, field: number, { resourceNamespace, name }: Resource): void {
  const mark = writer.begin(field);
  if (resourceNamespace !== '') writer.string(1, resourceNamespace);
  if (name !== '') writer.string(2, name);
  writer.end(mark);
}

const TIME_SECONDS = varintTag(1);
const TIME_NANOS = varintTag(2);

/** The milliseconds in the content of a Timestamp or Duration. */
export function millisecondsIn(content: Buffer): number {
  const reader = new ProtobufReader(content);
  let seconds = 0;
  let nanos = 0;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag === TIME_SECONDS) seconds = reader.int64();
    else if (tag === TIME_NANOS) nanos = reader.int32();
    else reader.skip(tag);
  }
  return seconds * 1000 + Math.round(nanos / 1_000_000);
}

export function writeStatus(writer: ProtobufWriter, field: number, { code, message }: Status): void {
  const mark = writer.begin(field);
  writer.varint(1, code);
  if (message !== '') writer.string(2, message);
  writer.end(mark);
}
