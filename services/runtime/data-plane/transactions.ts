// The calls and replies of the data plane that are about transactions, as protobuf (broker.proto), by hand like the
// others: reading is the reverse of writing, and what is absent is empty, 0 or false.
import { ProtobufError, type ProtobufReader, type ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type {
  EndTransactionCommand,
  HalfMessage,
  HalfOrigin,
  ListTransactionsQuery,
  OpenTransaction,
  TakeChecksCommand,
} from '@fulmar/core/transaction-api.ts';
import { EMPTY_BYTES, writeBytes, writeFlag, writeNumber, writeText } from './fields.ts';

export function writeHalfOrigin(
  writer: ProtobufWriter,
  field: number,
  { producer, firstCheckAfterMs }: HalfOrigin,
): void {
  const mark = writer.begin(field);
  writeText(writer, 1, producer);
  writeNumber(writer, 2, firstCheckAfterMs);
  writer.end(mark);
}

export function readHalfOrigin(reader: ProtobufReader): HalfOrigin {
  const half = { producer: '', firstCheckAfterMs: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) half.producer = reader.string();
    else if (tag >>> 3 === 2) half.firstCheckAfterMs = reader.int64();
    else reader.skip(tag);
  }
  return half;
}

export function writeEndTransaction(writer: ProtobufWriter, command: EndTransactionCommand): void {
  writeText(writer, 1, command.transactionId);
  writeFlag(writer, 2, command.resolution === 'commit');
  writeText(writer, 3, command.topic);
}

export function readEndTransaction(reader: ProtobufReader): EndTransactionCommand {
  let transactionId = '';
  let isCommit = false;
  let topic = '';
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) transactionId = reader.string();
    else if (tag >>> 3 === 2) isCommit = reader.bool();
    else if (tag >>> 3 === 3) topic = reader.string();
    else reader.skip(tag);
  }
  return { transactionId, resolution: isCommit ? 'commit' : 'rollback', topic };
}

export function writeTakeChecks(writer: ProtobufWriter, command: TakeChecksCommand): void {
  for (const topic of command.topics) writer.string(1, topic);
  for (const transactionId of command.sent) writer.string(2, transactionId);
}

export function readTakeChecks(reader: ProtobufReader): TakeChecksCommand {
  const topics: string[] = [];
  const sent: string[] = [];
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) topics.push(reader.string());
    else if (tag >>> 3 === 2) sent.push(reader.string());
    else reader.skip(tag);
  }
  return { topics, sent };
}

export function writeListTransactions(writer: ProtobufWriter, query: ListTransactionsQuery): void {
  writeText(writer, 1, query.topic);
  writeFlag(writer, 2, query.expiredOnly);
  writeText(writer, 3, query.after);
  writeNumber(writer, 4, query.count);
}

export function readListTransactions(reader: ProtobufReader): ListTransactionsQuery {
  const query = { topic: '', expiredOnly: false, after: '', count: 0 };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) query.topic = reader.string();
    else if (tag >>> 3 === 2) query.expiredOnly = reader.bool();
    else if (tag >>> 3 === 3) query.after = reader.string();
    else if (tag >>> 3 === 4) query.count = reader.int32();
    else reader.skip(tag);
  }
  return query;
}

export function writeOpenTransaction(writer: ProtobufWriter, transaction: OpenTransaction): void {
  writeText(writer, 1, transaction.transactionId);
  writeText(writer, 2, transaction.topic);
  writeText(writer, 3, transaction.messageId);
  writeText(writer, 4, transaction.producer);
  writeNumber(writer, 5, transaction.storedAtMs);
  writeNumber(writer, 6, transaction.checks);
  writeFlag(writer, 7, transaction.expired);
  writeNumber(writer, 8, transaction.nextCheckInMs);
  writeNumber(writer, 9, transaction.endsInMs);
}

export function readOpenTransaction(reader: ProtobufReader): OpenTransaction {
  const transaction = {
    transactionId: '',
    topic: '',
    messageId: '',
    producer: '',
    storedAtMs: 0,
    checks: 0,
    expired: false,
    nextCheckInMs: 0,
    endsInMs: 0,
  };
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) transaction.transactionId = reader.string();
    else if (tag >>> 3 === 2) transaction.topic = reader.string();
    else if (tag >>> 3 === 3) transaction.messageId = reader.string();
    else if (tag >>> 3 === 4) transaction.producer = reader.string();
    else if (tag >>> 3 === 5) transaction.storedAtMs = reader.int64();
    else if (tag >>> 3 === 6) transaction.checks = reader.int32();
    else if (tag >>> 3 === 7) transaction.expired = reader.bool();
    else if (tag >>> 3 === 8) transaction.nextCheckInMs = reader.int64();
    else if (tag >>> 3 === 9) transaction.endsInMs = reader.int64();
    else reader.skip(tag);
  }
  return transaction;
}

export function writeHalfMessage(writer: ProtobufWriter, half: HalfMessage): void {
  const mark = writer.begin(1);
  writeOpenTransaction(writer, half.transaction);
  writer.end(mark);
  writeNumber(writer, 2, half.queueId);
  writeBytes(writer, 3, half.userPart);
  writeBytes(writer, 4, half.systemPart);
  writeBytes(writer, 5, half.body);
}

/** The parts are views of the frame. */
export function readHalfMessage(reader: ProtobufReader): HalfMessage {
  const half = { queueId: 0, userPart: EMPTY_BYTES, systemPart: EMPTY_BYTES, body: EMPTY_BYTES };
  let transaction: OpenTransaction | undefined;
  while (reader.hasMore()) {
    const tag = reader.tag();
    if (tag >>> 3 === 1) transaction = readOpenTransaction(reader.message());
    else if (tag >>> 3 === 2) half.queueId = reader.int32();
    else if (tag >>> 3 === 3) half.userPart = reader.view();
    else if (tag >>> 3 === 4) half.systemPart = reader.view();
    else if (tag >>> 3 === 5) half.body = reader.view();
    else reader.skip(tag);
  }
  if (transaction === undefined) throw new ProtobufError('a half message names no transaction');
  return { transaction, ...half };
}
