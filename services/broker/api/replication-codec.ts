// What replicas say to each other as protobuf (replication.proto), by hand: records are copied once on their way into a
// message and not at all on their way out of it. Whatever the bytes are, a reader returns a value within the bounds of
// core/limits.ts or throws ProtobufError.
import { LIMITS } from '@fulmar/core/limits.ts';
import { ProtobufError, ProtobufReader, ProtobufWriter, varintBytes, writeVarint } from '@fulmar/core/protobuf.ts';
import type { LogFile, LogManifest } from '../log/log.ts';
import type { DataReply, FetchRequest, FollowReply, FollowRequest, RefusedReply } from '../replication/messages.ts';

const REQUEST = { fetch: 1, stored: 2 } as const;
const REPLY = { data: 1, diverged: 2, refused: 3 } as const;
const BYTES = 2;

/** By their numbers in the proto. */
const REASONS: readonly (RefusedReply['reason'] | undefined)[] = [
  undefined,
  'not-leader',
  'fenced',
  'snapshot-needed',
  'foreign',
];

/** Records in one message: a batch of usual size, and one record that did not fit into it any more. */
const FRAMES_BYTES_MAX = LIMITS.replicationBatchBytes + LIMITS.recordBytes;
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

export interface FileRange {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

export interface RecordRange {
  readonly position: number;
  readonly length: number;
}

/** How a replica stands, for people and for replicas with fixed roles. */
export interface ReplicaDescription {
  /** The set record as JSON; empty when the replica knows none. */
  readonly setRecord: string;
  readonly role: string;
  /** The newest epoch that it knows of. */
  readonly epoch: number;
}

// --- following

export function encodeFollowRequest(request: FollowRequest): Buffer {
  const writer = new ProtobufWriter();
  const mark = writer.begin(REQUEST[request.kind]);
  if (request.kind === 'stored') writer.varint(1, request.stored);
  else {
    writer.string(1, request.clusterId).string(2, request.set).string(3, request.replica);
    writer.string(4, request.storeUid).string(5, request.address).string(6, request.version);
    writer.varint(7, request.epoch).varint(8, request.position).varint(9, request.lastEpoch);
    writer.varint(10, request.stored);
  }
  return writer.end(mark).finish();
}

export function decodeFollowRequest(bytes: Buffer): FollowRequest {
  let request: FollowRequest | undefined;
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field === REQUEST.fetch) request = readFetch(reader.message());
    else if (field === REQUEST.stored) request = { kind: 'stored', stored: readStored(reader.message()) };
    else return false;
    return true;
  });
  if (request === undefined) throw new ProtobufError('the request is of a kind that this version does not know');
  return request;
}

function readFetch(message: ProtobufReader): FetchRequest {
  const texts = ['', '', '', '', '', ''];
  const numbers = [0, 0, 0, 0];
  eachField(message, (field, reader) => {
    if (field <= 6) texts[field - 1] = textOf(reader, LIMITS.setTextLength);
    else if (field <= 10) numbers[field - 7] = wholeNumber(reader);
    else return false;
    return true;
  });
  const [clusterId, set, replica, storeUid, address, version] = texts as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const [epoch, position, lastEpoch, stored] = numbers as [number, number, number, number];
  if (stored > position) throw new ProtobufError('a follower says that it has stored more than it has');
  return { kind: 'fetch', clusterId, set, replica, storeUid, address, version, epoch, position, lastEpoch, stored };
}

function readStored(message: ProtobufReader): number {
  let stored = 0;
  eachField(message, (field, reader) => {
    if (field !== 1) return false;
    stored = wholeNumber(reader);
    return true;
  });
  return stored;
}

export function encodeFollowReply(reply: FollowReply): Buffer {
  if (reply.kind === 'data') return encodeData(reply);
  const writer = new ProtobufWriter();
  const mark = writer.begin(REPLY[reply.kind]);
  if (reply.kind === 'diverged') {
    writer.varint(1, reply.epoch).varint(2, reply.end).varint(3, reply.position).varint(4, reply.lastEpoch);
  } else {
    writer.varint(1, REASONS.indexOf(reply.reason)).varint(2, reply.epoch);
    // A UTF-16 unit needs three bytes at most.
    writer.string(3, reply.text.slice(0, LIMITS.refusalTextBytes / 3));
  }
  return writer.end(mark).finish();
}

/** One buffer of exactly the right size, into which each frame is copied once. */
function encodeData(reply: DataReply): Buffer {
  let framesBytes = 0;
  for (const frame of reply.frames) framesBytes += frame.length;
  if (framesBytes > FRAMES_BYTES_MAX) throw new Error(`${framesBytes} bytes of records do not fit into one message`);
  const { epoch, position, commitPosition } = reply;
  const numbersBytes = 3 + varintBytes(epoch) + varintBytes(position) + varintBytes(commitPosition);
  const contentBytes = numbersBytes + (framesBytes === 0 ? 0 : 1 + varintBytes(framesBytes) + framesBytes);
  const bytes = Buffer.allocUnsafe(1 + varintBytes(contentBytes) + contentBytes);
  let at = writeField(bytes, (REPLY.data << 3) | BYTES, contentBytes, 0);
  at = writeField(bytes, 1 << 3, epoch, at);
  at = writeField(bytes, 2 << 3, position, at);
  at = writeField(bytes, 3 << 3, commitPosition, at);
  if (framesBytes === 0) return bytes;
  at = writeField(bytes, (4 << 3) | BYTES, framesBytes, at);
  for (const frame of reply.frames) {
    bytes.set(frame, at);
    at += frame.length;
  }
  return bytes;
}

function writeField(target: Buffer, tag: number, value: number, at: number): number {
  target[at] = tag;
  return writeVarint(target, value, at + 1);
}

/** The records of a data reply are one view into `bytes`. */
export function decodeFollowReply(bytes: Buffer): FollowReply {
  let reply: FollowReply | undefined;
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field === REPLY.data) reply = readData(reader.message());
    else if (field === REPLY.diverged) reply = readDiverged(reader.message());
    else if (field === REPLY.refused) reply = readRefused(reader.message());
    else return false;
    return true;
  });
  if (reply === undefined) throw new ProtobufError('the reply is of a kind that this version does not know');
  return reply;
}

function readData(message: ProtobufReader): DataReply {
  const numbers = [0, 0, 0];
  let frames: Buffer | undefined;
  eachField(message, (field, reader) => {
    if (field <= 3) numbers[field - 1] = wholeNumber(reader);
    else if (field === 4) frames = reader.view();
    else return false;
    return true;
  });
  const [epoch, position, commitPosition] = numbers as [number, number, number];
  if (frames === undefined || frames.length === 0) return { kind: 'data', epoch, position, frames: [], commitPosition };
  if (frames.length > FRAMES_BYTES_MAX) throw new ProtobufError('a message has more bytes of records than it may have');
  return { kind: 'data', epoch, position, frames: [frames], commitPosition };
}

function readDiverged(message: ProtobufReader): FollowReply {
  const numbers = [0, 0, 0, 0];
  eachField(message, (field, reader) => {
    if (field > 4) return false;
    numbers[field - 1] = wholeNumber(reader);
    return true;
  });
  const [epoch, end, position, lastEpoch] = numbers as [number, number, number, number];
  return { kind: 'diverged', epoch, end, position, lastEpoch };
}

function readRefused(message: ProtobufReader): RefusedReply {
  let reason: RefusedReply['reason'] | undefined;
  let epoch = 0;
  let text = '';
  eachField(message, (field, reader) => {
    if (field === 1) reason = REASONS[reader.uint32()];
    else if (field === 2) epoch = wholeNumber(reader);
    else if (field === 3) text = textOf(reader, LIMITS.refusalTextBytes);
    else return false;
    return true;
  });
  if (reason === undefined) throw new ProtobufError('the leader refuses for a reason that this version does not know');
  return { kind: 'refused', reason, epoch, text };
}

// --- copying and repairing

export function encodeManifest(manifest: LogManifest | undefined): Buffer {
  const writer = new ProtobufWriter();
  if (manifest === undefined) return writer.finish();
  const whole = writer.begin(1);
  writer.varint(1, manifest.snapshotPosition);
  for (const file of manifest.files) {
    const mark = writer.begin(2);
    writer.string(1, file.name).varint(2, file.bytes).end(mark);
  }
  return writer.end(whole).finish();
}

export function decodeManifest(bytes: Buffer): LogManifest | undefined {
  let manifest: LogManifest | undefined;
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field !== 1) return false;
    manifest = readManifest(reader.message());
    return true;
  });
  return manifest;
}

function readManifest(message: ProtobufReader): LogManifest {
  let snapshotPosition = 0;
  const files: LogFile[] = [];
  eachField(message, (field, reader) => {
    if (field === 1) snapshotPosition = wholeNumber(reader);
    else if (field === 2) files.push(readManifestFile(reader.message()));
    else return false;
    if (files.length > LIMITS.manifestFiles) throw new ProtobufError('a manifest has more files than it may have');
    return true;
  });
  return { snapshotPosition, files };
}

function readManifestFile(message: ProtobufReader): LogFile {
  let name = '';
  let bytes = 0;
  eachField(message, (field, reader) => {
    if (field === 1) name = textOf(reader, LIMITS.manifestNameLength);
    else if (field === 2) bytes = wholeNumber(reader);
    else return false;
    return true;
  });
  return { name: fileName(name), bytes };
}

export function encodeFileRange({ name, offset, length }: FileRange): Buffer {
  return new ProtobufWriter().string(1, name).varint(2, offset).varint(3, length).finish();
}

export function decodeFileRange(bytes: Buffer): FileRange {
  let name = '';
  let offset = 0;
  let length = 0;
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field === 1) name = textOf(reader, LIMITS.manifestNameLength);
    else if (field === 2) offset = wholeNumber(reader);
    else if (field === 3) length = wholeNumber(reader);
    else return false;
    return true;
  });
  return { name: fileName(name), offset, length: lengthWithin(length, LIMITS.replicationPartBytes) };
}

export function encodeRecordRange({ position, length }: RecordRange): Buffer {
  return new ProtobufWriter().varint(1, position).varint(2, length).finish();
}

export function decodeRecordRange(bytes: Buffer): RecordRange {
  let position = 0;
  let length = 0;
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field === 1) position = wholeNumber(reader);
    else if (field === 2) length = wholeNumber(reader);
    else return false;
    return true;
  });
  return { position, length: lengthWithin(length, LIMITS.recordBytes) };
}

/** The answer to both questions about content; nothing at all is empty. */
export function encodeContent(content: Uint8Array | undefined): Buffer {
  if (content === undefined || content.length === 0) return Buffer.alloc(0);
  return new ProtobufWriter(content.length + 16).content(1, content).finish();
}

/** A view into `bytes`. */
export function decodeContent(bytes: Buffer): Buffer {
  let content: Buffer = Buffer.alloc(0);
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field !== 1) return false;
    content = reader.view();
    return true;
  });
  return content;
}

// --- looking

export function encodeDescription({ setRecord, role, epoch }: ReplicaDescription): Buffer {
  return new ProtobufWriter().string(1, setRecord).string(2, role).varint(3, epoch).finish();
}

export function decodeDescription(bytes: Buffer): ReplicaDescription {
  let setRecord = '';
  let role = '';
  let epoch = 0;
  eachField(new ProtobufReader(bytes), (field, reader) => {
    if (field === 1) setRecord = textOf(reader, LIMITS.setRecordBytes);
    else if (field === 2) role = textOf(reader, LIMITS.setTextLength);
    else if (field === 3) epoch = wholeNumber(reader);
    else return false;
    return true;
  });
  return { setRecord, role, epoch };
}

// --- parts

/** Calls `read` for each field; one that it does not know, and says so by false, is skipped. */
function eachField(reader: ProtobufReader, read: (field: number, reader: ProtobufReader) => boolean): void {
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (!read(tag >>> 3, reader)) reader.skip(tag);
  }
}

function wholeNumber(reader: ProtobufReader): number {
  const value = reader.int64();
  if (!Number.isSafeInteger(value) || value < 0) throw new ProtobufError('a position or an epoch is out of range');
  return value;
}

function textOf(reader: ProtobufReader, bytesMax: number): string {
  const bytes = reader.view();
  if (bytes.length > bytesMax) throw new ProtobufError(`a text is longer than ${bytesMax} bytes`);
  return bytes.toString('utf8');
}

function lengthWithin(length: number, most: number): number {
  if (length < 1 || length > most) throw new ProtobufError(`a length is not from 1 to ${most}`);
  return length;
}

function fileName(name: string): string {
  if (!FILE_NAME.test(name)) throw new ProtobufError('the name of a file is not one of a log');
  return name;
}
