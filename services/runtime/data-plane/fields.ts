// Small parts that calls and replies of the data plane have in common. A field is only written if it says something:
// proto3 reads what is absent as empty, 0 or false.
import { CONSUME_MODES, type ConsumeMode, TOPIC_TYPES, type TopicType } from '@fulmar/core/broker-api.ts';
import { codeOf, errorNameOf, type Fault } from '@fulmar/core/errors.ts';
import { type Placement, placementOf } from '@fulmar/core/placement.ts';
import {
  ProtobufError,
  type ProtobufReader,
  type ProtobufWriter,
  varintBytes,
  WIRE_BYTES,
  writeVarint,
} from '@fulmar/core/protobuf.ts';

/** By the numbers of `PutTopic.type_change`. */
export const TYPE_CHANGES = [undefined, 'check', 'change'] as const;

export const EMPTY_BYTES: Buffer = Buffer.alloc(0);

export function writeText(writer: ProtobufWriter, field: number, value: string): void {
  if (value !== '') writer.string(field, value);
}

export function writeNumber(writer: ProtobufWriter, field: number, value: number): void {
  if (value !== 0) writer.varint(field, value);
}

export function writeFlag(writer: ProtobufWriter, field: number, value: boolean): void {
  if (value) writer.bool(field, value);
}

export function writeBytes(writer: ProtobufWriter, field: number, value: Uint8Array): void {
  if (value.length > 0) writer.content(field, value);
}

/** A packed list of numbers. */
export function writeNumbers(writer: ProtobufWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  const packed = Buffer.allocUnsafe(values.reduce((bytes, value) => bytes + varintBytes(value), 0));
  let position = 0;
  for (const value of values) position = writeVarint(packed, value, position);
  writer.content(field, packed);
}

/** Appends one field of a list of numbers, packed or not. */
export function readNumbers(reader: ProtobufReader, tag: number, values: number[], type: 'int32' | 'int64'): void {
  if ((tag & 7) !== WIRE_BYTES) {
    values.push(reader[type]());
    return;
  }
  const packed = reader.message();
  while (packed.hasMore()) values.push(packed[type]());
}

/** With undefined an empty message: code 0, "this one is done". */
export function writeFault(writer: ProtobufWriter, field: number, fault: Fault | undefined): void {
  const mark = writer.begin(field);
  if (fault !== undefined) writer.varint(1, codeOf(fault)).string(2, fault.message);
  writer.end(mark);
}

export function readFault(reader: ProtobufReader): Fault | undefined {
  let code = 0;
  let message = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) code = reader.int32();
    else if (tag >>> 3 === 2) message = reader.string();
    else reader.skip(tag);
  }
  return code === 0 ? undefined : { error: errorNameOf(code), message };
}

export function writePlacement(writer: ProtobufWriter, field: number, placement: Placement | undefined): void {
  if (placement === undefined) return;
  const mark = writer.begin(field);
  writeNumber(writer, 1, placement.version);
  for (const set of placement.sets) writer.string(2, set);
  writer.end(mark);
}

export function readPlacement(reader: ProtobufReader): Placement {
  let version = 0;
  const sets: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) version = reader.uint32();
    else if (tag >>> 3 === 2) sets.push(reader.string());
    else reader.skip(tag);
  }
  return placementOf(version, sets);
}

/** The wire has one more than the priority, so that 0 stands for none. */
export function readPriority(reader: ProtobufReader): number | undefined {
  const plusOne = reader.int32();
  return plusOne > 0 ? plusOne - 1 : undefined;
}

export function topicTypeOf(text: string): TopicType {
  const type = TOPIC_TYPES.find((known) => known === text);
  if (type === undefined) throw new ProtobufError(`there is no topic type "${text}"`);
  return type;
}

export function consumeModeOf(value: number): ConsumeMode {
  const mode = CONSUME_MODES[value];
  if (mode === undefined) throw new ProtobufError(`there is no way ${value} to consume`);
  return mode;
}
