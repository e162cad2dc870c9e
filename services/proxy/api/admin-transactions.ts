// Half messages without a decision as administrators see them, over all broker sets; and what an administrator may do
// about one that no producer answers for.
import type { BrokerApi } from '@fulmar/core/broker-api.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type { OpenTransaction } from '@fulmar/core/transaction-api.ts';
import { decodeTransactionId } from '@fulmar/core/transaction-id.ts';
import { type AdminDependencies, answerInTime, PAGE_SIZE_MAX, refuse } from './admin-context.ts';
import { refuseWith, unwrap } from './answering.ts';
import type { UnaryHandler } from './call.ts';
import { setByHash } from './masters.ts';

interface Named {
  readonly transactionId?: string;
}

interface TransactionInfo extends OpenTransaction {
  readonly set: string;
}

interface ListRequest {
  readonly topic?: string;
  readonly expiredOnly?: boolean;
  readonly pageSize?: number;
  readonly page?: string;
}

export interface TransactionHandlers {
  readonly ListTransactions: UnaryHandler<
    ListRequest,
    { readonly transactions: readonly TransactionInfo[]; readonly nextPage: string }
  >;
  readonly DescribeTransaction: UnaryHandler<
    Named,
    { readonly transaction: TransactionInfo; readonly message: Uint8Array }
  >;
  readonly EndTransaction: UnaryHandler<Named & { readonly commit?: boolean }, Record<string, never>>;
  readonly ResumeTransaction: UnaryHandler<Named, Record<string, never>>;
}

export function transactionHandlers(dependencies: AdminDependencies): TransactionHandlers {
  const { cluster } = dependencies;

  function masterOf(transactionId: string): { readonly set: string; readonly broker: BrokerApi } {
    const decoded = decodeTransactionId(transactionId);
    const set = decoded === undefined ? undefined : setByHash(dependencies, '', decoded.setHash);
    if (set === undefined) {
      refuse('INVALID_TRANSACTION_ID', 'This is no transaction id of this cluster. See fulmar transaction list.');
    }
    const broker = cluster.broker(set);
    if (broker === undefined) refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat it.`);
    return { set, broker };
  }

  return {
    async ListTransactions(_call, { topic = '', expiredOnly = false, pageSize = 0, page = '' }) {
      const size = pageSize <= 0 || pageSize > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : pageSize;
      const pageHash = page === '' ? undefined : decodeTransactionId(page)?.setHash;
      const brokers = cluster.brokers();
      if (brokers.length === 0) refuse('HA_NOT_AVAILABLE', 'No broker is known at the moment. Repeat the request.');
      const from = pageHash === undefined ? 0 : brokers.findIndex(({ set }) => setHashOf(set) === pageHash);
      if (from < 0 || (page !== '' && pageHash === undefined)) {
        refuse('BAD_REQUEST', 'The page does not belong to this list. Begin anew.');
      }
      const transactions: TransactionInfo[] = [];
      // One more than fits tells whether there is another page.
      for (const [i, { set, api }] of brokers.slice(from).entries()) {
        const count = size + 1 - transactions.length;
        if (count === 0) break;
        const query = { topic, expiredOnly, after: i === 0 ? page : '', count };
        const answer = await answerInTime(dependencies, set, () => api.transactions.list(query));
        for (const transaction of unwrap(answer)) transactions.push({ set, ...transaction });
      }
      const shown = transactions.slice(0, size);
      return { transactions: shown, nextPage: transactions.length > size ? shown.at(-1)!.transactionId : '' };
    },

    async DescribeTransaction(_call, { transactionId = '' }) {
      const { set, broker } = masterOf(transactionId);
      const found = await answerInTime(dependencies, set, () => broker.transactions.show(transactionId));
      const { transaction, userPart, systemPart, body } = unwrap(found);
      const message = new ProtobufWriter(64 + userPart.length + systemPart.length + body.length)
        .raw(userPart)
        .content(3, systemPart)
        .content(4, body)
        .finish();
      return { transaction: { set, ...transaction }, message };
    },

    async EndTransaction(_call, { transactionId = '', commit = false }) {
      const { set, broker } = masterOf(transactionId);
      const resolution = commit ? ('commit' as const) : ('rollback' as const);
      const command = { transactionId, resolution, topic: '' };
      refuseWith(await answerInTime(dependencies, set, () => broker.transactions.end(command)));
      return {};
    },

    async ResumeTransaction(_call, { transactionId = '' }) {
      const { set, broker } = masterOf(transactionId);
      refuseWith(await answerInTime(dependencies, set, () => broker.transactions.resume(transactionId)));
      return {};
    },
  };
}
