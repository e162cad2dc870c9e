// Messages that a client's library cannot read: some refuse a frame above 4 MiB, and with it the whole answer. Such a
// message is not sent to them; it waits as after a failed attempt, so that another client of the group may get it or
// the dead-letter topic does, and nothing behind it has to wait.
import type { GroupDescription } from '@fulmar/core/broker-api.ts';
import type { ProxyContext } from './context.ts';
import { lostBroker } from './masters.ts';
import type { Catch } from './poll.ts';
import type { Requester } from './requester.ts';

export function setAside(
  context: ProxyContext,
  { group, topic }: { readonly group: string; readonly topic: string },
  { backoff: { delaysMs } }: GroupDescription,
  requester: Requester,
  { set, broker, messages }: Catch,
  readable: Catch['messages'],
): void {
  const kept = new Set(readable);
  for (const message of messages) {
    if (kept.has(message)) continue;
    const { receiptHandle, attempt } = message;
    const invisibleMs = delaysMs[Math.min(attempt, delaysMs.length) - 1]!;
    context.logger.warn('a message is too large for the client that would get it; it is tried again later', {
      group,
      topic,
      clientId: requester.clientId,
      language: requester.language,
      queueOffset: message.queueOffset,
    });
    broker
      .changeInvisible({ group, topic, receiptHandle, invisibleMs, raiseToBackoff: true })
      .catch((thrown: unknown) => lostBroker(context, set, thrown));
  }
}
