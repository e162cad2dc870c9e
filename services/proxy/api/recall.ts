// RecallMessage: takes a delayed message back before its time. The handle says which broker set has it, so any proxy
// can be called. OK means that it is never delivered; NOT_FOUND that it was delivered, or recalled before.
import { FaultError, fault } from '@fulmar/core/errors.ts';
import { decodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { unary, unwrap } from './answering.ts';
import { askMaster } from './ask-master.ts';
import type { UnaryHandler } from './call.ts';
import type { ProxyContext } from './context.ts';
import { findSet } from './masters.ts';
import type { RecallMessageRequest, RecallMessageResponse } from './messages.ts';
import { Patience, patienceMs } from './patience.ts';
import { topicKeyOf } from './resources.ts';
import { STATUS_OK } from './status.ts';

export function recallMessage(context: ProxyContext): UnaryHandler<RecallMessageRequest, RecallMessageResponse> {
  return unary<RecallMessageRequest, RecallMessageResponse>(context, {
    name: 'RecallMessage',
    needsClientId: true,
    async handle(requester, request, call) {
      const topic = unwrap(topicKeyOf(requester, request.topic));
      const { recallHandle = '' } = request;
      const handle = decodeRecallHandle(recallHandle);
      const patience = new Patience(context, call, patienceMs(call.remainingMs));
      const set = handle && (await findSet(context, patience, topic, handle.setHash));
      if (handle === undefined || set === undefined) {
        throw new FaultError(
          fault('BAD_REQUEST', 'This is no recall handle of the topic. Use the one that the send was answered with.'),
        );
      }
      const outcome = await askMaster(context, {
        sets: [set],
        ask: (broker) => broker.recall({ topic, recallHandle }),
        faultsOf: (answer) => [answer],
        patience,
      });
      const found = outcome.fault ?? outcome.value;
      if (found !== undefined) throw new FaultError(found);
      return { code: STATUS_OK.code, response: { status: STATUS_OK, messageId: handle.messageId } };
    },
    refuse: (status) => ({ status, messageId: '' }),
  });
}
