// Half messages of a fake broker set: kept aside until somebody ends them, due for a check after half a minute.
import type { MessageToStore } from '@fulmar/core/broker-api.ts';
import { failure, fault, success } from '@fulmar/core/errors.ts';
import type { Clock } from '@fulmar/core/ports.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type {
  HalfMessage,
  HalfOrigin,
  OpenTransaction,
  Resolution,
  TransactionApi,
} from '@fulmar/core/transaction-api.ts';
import { encodeTransactionId } from '@fulmar/core/transaction-id.ts';

const CHECK_MS = 30_000;
const CHECKS_MAX = 15;
const OPEN_MS = 86_400_000;

interface Half {
  readonly topic: string;
  readonly message: MessageToStore;
  readonly producer: string;
  readonly storedAtMs: number;
  nextAtMs: number;
  checks: number;
}

export function fakeTransactions(
  set: string,
  clock: Clock,
  store: (topic: string, message: MessageToStore) => void,
): TransactionApi & { add(topic: string, message: MessageToStore, half: HalfOrigin): string } {
  const open = new Map<string, Half>();
  const ended = new Map<string, Resolution>();
  const unknown = fault('INVALID_TRANSACTION_ID', 'no such transaction');
  let ids = 1;

  const describe = (transactionId: string, half: Half): OpenTransaction => ({
    transactionId,
    topic: half.topic,
    messageId: half.message.messageId,
    producer: half.producer,
    storedAtMs: half.storedAtMs,
    checks: half.checks,
    expired: half.checks >= CHECKS_MAX,
    nextCheckInMs: Math.max(0, half.nextAtMs - clock.monotonicMs()),
    endsInMs: OPEN_MS,
  });
  const withMessage = (transactionId: string, half: Half): HalfMessage => {
    const { userPart, systemPart, body } = half.message;
    return { transaction: describe(transactionId, half), queueId: 0, userPart, systemPart, body };
  };

  return {
    add(topic, message, { producer, firstCheckAfterMs }) {
      const transactionId = encodeTransactionId({ setHash: setHashOf(set), id: ids++ });
      const nextAtMs = clock.monotonicMs() + (firstCheckAfterMs || CHECK_MS);
      open.set(transactionId, { topic, message, producer, storedAtMs: clock.wallMs(), nextAtMs, checks: 0 });
      return transactionId;
    },
    async end({ transactionId, resolution, topic }) {
      const before = ended.get(transactionId);
      if (before !== undefined) return before === resolution ? undefined : unknown;
      const half = open.get(transactionId);
      if (half === undefined || (topic !== '' && half.topic !== topic)) return unknown;
      open.delete(transactionId);
      ended.set(transactionId, resolution);
      if (resolution === 'commit') store(half.topic, half.message);
      return undefined;
    },
    async takeChecks({ topics, sent }) {
      for (const id of sent) {
        const half = open.get(id);
        if (half === undefined) continue;
        half.checks++;
        half.nextAtMs = clock.monotonicMs() + CHECK_MS;
      }
      const due = [...open].filter(
        ([, { topic, nextAtMs, checks }]) =>
          topics.includes(topic) && nextAtMs <= clock.monotonicMs() && checks < CHECKS_MAX,
      );
      return success(due.map(([id, half]) => withMessage(id, half)));
    },
    async list({ topic, expiredOnly, after, count }) {
      const all = [...open].map(([id, half]) => describe(id, half));
      const from = after === '' ? 0 : all.findIndex(({ transactionId }) => transactionId === after) + 1;
      const meant = all
        .slice(from)
        .filter((each) => (topic === '' || each.topic === topic) && (each.expired || !expiredOnly));
      return success(meant.slice(0, count));
    },
    async show(transactionId) {
      const half = open.get(transactionId);
      return half === undefined
        ? failure('INVALID_TRANSACTION_ID', 'no such')
        : success(withMessage(transactionId, half));
    },
    async resume(transactionId) {
      const half = open.get(transactionId);
      if (half === undefined) return unknown;
      half.checks = 0;
      half.nextAtMs = clock.monotonicMs();
      return undefined;
    },
  };
}
