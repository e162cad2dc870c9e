// EndTransaction: a producer commits or rolls back its half message. The transaction id says which broker set to ask,
// so any proxy can be called, also long after the send.
import { FaultError, fault, OK } from '@fulmar/core/errors.ts';
import { decodeTransactionId } from '@fulmar/core/transaction-id.ts';
import { unary, unwrap } from './answering.ts';
import { askMaster } from './ask-master.ts';
import type { UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import { findSet } from './masters.ts';
import type { EndTransactionRequest, StatusResponse } from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import { topicKeyOf } from './resources.ts';
import { STATUS_OK, statusOf } from './status.ts';

const RESOLUTION = { unknown: 0, commit: 1, rollback: 2 } as const;

const NOT_OURS = fault(
  'INVALID_TRANSACTION_ID',
  'The request has no transaction id of this cluster. Send the one from the answer of the half message.',
);

export function endTransaction(context: ProxyContext): UnaryHandler<EndTransactionRequest, StatusResponse> {
  return unary<EndTransactionRequest, StatusResponse>(context, {
    name: 'EndTransaction',
    needsClientId: true,
    async handle(requester, { topic: resource, transactionId = '', resolution = RESOLUTION.unknown }, call) {
      const topic = unwrap(topicKeyOf(requester, resource));
      const decoded = decodeTransactionId(transactionId);
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      const set = decoded && (await findSet(context, patience, topic, decoded.setHash));
      if (set === undefined) throw new FaultError(NOT_OURS);
      // The producer does not know yet: it will be asked again.
      if (resolution === RESOLUTION.unknown) return { code: OK, response: { status: STATUS_OK } };
      if (resolution !== RESOLUTION.commit && resolution !== RESOLUTION.rollback) {
        throw new FaultError(fault('BAD_REQUEST', 'The resolution is unknown. Send COMMIT or ROLLBACK.'));
      }
      const command = {
        transactionId,
        resolution: resolution === RESOLUTION.commit ? ('commit' as const) : ('rollback' as const),
        topic,
      };
      const outcome = await askMaster(context, {
        sets: [set],
        ask: (broker) => broker.transactions.end(command),
        faultsOf: (answer) => [answer],
        patience,
      });
      const found = outcome.fault ?? outcome.value;
      const status = found === undefined ? STATUS_OK : statusOf(found, requester.language);
      return { code: status.code, response: { status } };
    },
    refuse: (status) => ({ status }),
  });
}
