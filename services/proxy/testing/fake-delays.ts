// Delayed messages of a broker set in memory: kept aside until their time, or until they are recalled.
import type { MessageToStore, RecallCommand, SendResult } from '@fulmar/core/broker-api.ts';
import { type Fault, failure, fault } from '@fulmar/core/errors.ts';
import { hash32 } from '@fulmar/core/hash.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Clock, Timer, Timers } from '@fulmar/core/ports.ts';
import { encodeRecallHandle } from '@fulmar/core/recall-handle.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';

export class FakeDelays {
  readonly #set: string;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #waiting = new Map<string, { readonly topic: string; readonly timer: Timer }>();
  #numbered = 1;

  constructor(set: string, clock: Clock, timers: Timers) {
    this.#set = set;
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Undefined for a message that is to be stored at once. */
  take(topic: string, queueId: number, message: MessageToStore, store: () => void): SendResult | undefined {
    const waitMs = message.deliverAtMs - this.#clock.wallMs();
    if (waitMs <= 0) return undefined;
    if (waitMs > LIMITS.delayMs) return failure('ILLEGAL_DELIVERY_TIME', 'The delivery time is too far away.');
    const recallHandle = encodeRecallHandle({
      setHash: setHashOf(this.#set),
      topicId: hash32(topic),
      position: this.#numbered++,
      messageId: message.messageId,
    });
    const timer = this.#timers.after(waitMs, () => {
      this.#waiting.delete(recallHandle);
      store();
    });
    this.#waiting.set(recallHandle, { topic, timer });
    return { queueId, queueOffset: 0, recallHandle };
  }

  recall({ topic, recallHandle }: RecallCommand): Fault | undefined {
    const waiting = this.#waiting.get(recallHandle);
    if (waiting?.topic !== topic) return fault('NOT_FOUND', 'There is nothing to recall.');
    waiting.timer.cancel();
    this.#waiting.delete(recallHandle);
    return undefined;
  }
}
