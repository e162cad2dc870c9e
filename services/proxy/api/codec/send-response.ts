// SendMessageResponse: one entry for each message of the request, in its order, and one status above them.
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import type { Status } from '../messages.ts';
import { writeStatus } from './fields.ts';

export interface SendEntry {
  readonly status: Status;
  readonly messageId: string;
  readonly offset: number;
  /** Only for a half message. */
  readonly transactionId?: string | undefined;
  /** Only for a delayed message. */
  readonly recallHandle?: string | undefined;
}

export function encodeSendResponse(status: Status, entries: readonly SendEntry[]): Buffer {
  const writer = new ProtobufWriter(64 + 96 * entries.length);
  writeStatus(writer, 1, status);
  for (const entry of entries) {
    const mark = writer.begin(2);
    writeStatus(writer, 1, entry.status);
    if (entry.messageId !== '') writer.string(2, entry.messageId);
    if (entry.transactionId !== undefined) writer.string(3, entry.transactionId);
    if (entry.offset !== 0) writer.varint(4, entry.offset);
    if (entry.recallHandle !== undefined) writer.string(5, entry.recallHandle);
    writer.end(mark);
  }
  return writer.finish();
}
