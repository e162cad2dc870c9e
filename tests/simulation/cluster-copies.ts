// Compares the replicas of a set at the end of a story: the logs byte by byte, the states as their snapshots, and every
// message in the log with what clients were told of it.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import { readMessagePayload } from '@fulmar/broker/state/records/message.ts';
import { writeSnapshot } from '@fulmar/broker/state/snapshot.ts';
import type { Store } from '@fulmar/broker/store.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader, readRecordLength } from '@fulmar/core/record.ts';
import type { ClusterChecker } from './cluster-checker.ts';
import { storeOf } from './cluster-set.ts';
import { Violation } from './log-model.ts';

const PIECE_BYTES = 64 * 1024;
/** A leader that knows of leases writes a record a second to carry the time on; each is committed within this. */
const UNDER_WAY_MS = 10_000;
const LOOK_AGAIN_MS = 37;

interface Copy {
  readonly name: string;
  readonly node: BrokerNode;
}

export async function compareReplicas(
  copies: readonly Copy[],
  set: string,
  setHash: string,
  checker: ClusterChecker,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<void> {
  const stores = copies.map(({ node }) => storeOf(node));
  const start = () => Math.max(...stores.map(({ log }) => log.startPosition));
  for (;;) {
    const from = start();
    try {
      checkMessages(await compareLogs(from, copies, set, checker), setHash, checker);
      break;
    } catch (error) {
      // Retention may take segments away while they are read.
      if (error instanceof Violation || start() === from) throw error;
    }
  }
  const isUnderWay = () =>
    stores.some(({ log, state }) => log.endPosition !== state.position || state.position !== stores[0]!.state.position);
  for (let waitedMs = 0; isUnderWay() && waitedMs < UNDER_WAY_MS; waitedMs += LOOK_AGAIN_MS) await sleep(LOOK_AGAIN_MS);
  compareStates(copies, set, checker);
}

/** Gives back what all of them have from a position on, as far as the last of them has applied it. */
async function compareLogs(
  from: number,
  copies: readonly Copy[],
  set: string,
  checker: ClusterChecker,
): Promise<Buffer> {
  const stores = copies.map(({ node }) => storeOf(node));
  const to = Math.min(...stores.map(({ state }) => state.position));
  const logs = await Promise.all(stores.map((store) => bytesOf(store, from, to)));
  // The copy that most others agree with shows where records lie; rot is in a minority.
  const whole = logs.find((log) => logs.filter((other) => other.equals(log)).length > 1) ?? logs[0]!;
  for (const [index, { name }] of copies.entries()) {
    const isEqual = logs[index]!.equals(whole) || (await bytesOf(stores[index]!, from, to, whole)).equals(whole);
    checker.demand(
      isEqual,
      () => `${name} has another log than the others of ${set}: ${difference(logs[index]!, whole, from)}`,
    );
  }
  return whole;
}

function compareStates(copies: readonly Copy[], set: string, checker: ClusterChecker): void {
  const stores = copies.map(({ node }) => storeOf(node));
  for (const [index, { name }] of copies.entries()) {
    const { state, log } = stores[index]!;
    checker.demand(
      log.endPosition === state.position,
      () => `${name} has not applied all of its log: ${log.endPosition}`,
    );
    checker.demand(state.position === stores[0]!.state.position, () => `${name} is at ${state.position}`);
    const equal = Buffer.concat(writeSnapshot(state)).equals(Buffer.concat(writeSnapshot(stores[0]!.state)));
    checker.demand(equal, () => `${name} has another state than ${copies[0]!.name} of ${set}`);
  }
}

function difference(log: Buffer, whole: Buffer, from: number): string {
  const different = [...log.keys()].filter((at) => log[at] !== whole[at]);
  return `${different.length} bytes of ${log.length} and ${whole.length}, the first at ${from + (different[0] ?? 0)}`;
}

/** What rots on the medium is found by reading record by record, and got back from another replica. */
async function bytesOf({ log }: Store, from: number, to: number, whole?: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = from; at < to; ) {
    const frames = whole === undefined ? await log.readFrames(at, PIECE_BYTES) : [await recordOf(log, at, from, whole)];
    if (frames === undefined || frames.length === 0) throw new Error(`the log cannot be read at ${at}`);
    for (const frame of frames) {
      parts.push(Buffer.from(frame));
      at += frame.length;
    }
  }
  return Buffer.concat(parts).subarray(0, to - from);
}

async function recordOf(log: Store['log'], at: number, from: number, whole: Buffer): Promise<Buffer> {
  const record = await log.read(at, readRecordLength(whole, at - from));
  if (record === undefined) throw new Error(`the log has no record at ${at}`);
  return record.bytes;
}

/** One id, one record. */
function checkMessages(log: Buffer, setHash: string, checker: ClusterChecker): void {
  const seen = new Map<string, number>();
  for (let at = 0; at < log.length; ) {
    const { type, length, position } = readRecordHeader(log, at);
    if (type === RECORD_TYPE.message || type === RECORD_TYPE.delayedMessage) {
      const { messageId } = readMessagePayload(log, at + RECORD_HEADER_BYTES, at + length);
      const before = seen.get(messageId);
      checker.demand(
        before === undefined,
        () => `${messageId} is stored twice in ${setHash}: at ${before} and ${position}`,
      );
      seen.set(messageId, position);
    }
    at += length;
  }
}
