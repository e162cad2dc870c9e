// A client gives up a message and asks for it to be moved to the dead-letter topic. Clients repeat that request every
// second until it is answered OK, so everything that is already settled, or will be judged anew, is answered OK.
import type { DeadLetterCommand } from '@fulmar/core/broker-api.ts';
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { readerOf } from '../state/groups.ts';
import type { Lease } from '../state/lease.ts';
import type { BrokerState } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { MessageReader } from './reading.ts';
import type { Settling } from './settling.ts';
import { run, type Steps } from './steps.ts';

interface Found {
  readonly subscription: Subscription;
  /** Undefined for a first delivery that was answered and is not written yet. */
  readonly lease: Lease | undefined;
}

export class Forwarding {
  private readonly state: BrokerState;
  private readonly settling: Settling;
  private readonly deadLetters: DeadLetters;
  private readonly reader: MessageReader;
  private readonly dispatcherOf: (subscription: Subscription) => Dispatcher;

  constructor(
    state: BrokerState,
    settling: Settling,
    deadLetters: DeadLetters,
    reader: MessageReader,
    dispatcherOf: (subscription: Subscription) => Dispatcher,
  ) {
    this.state = state;
    this.settling = settling;
    this.deadLetters = deadLetters;
    this.reader = reader;
    this.dispatcherOf = dispatcherOf;
  }

  async forward(command: DeadLetterCommand): Promise<Fault | undefined> {
    const found = command.receiptHandle === '' ? await this.findById(command) : this.findByHandle(command);
    if (found === undefined) return undefined;
    const { subscription, lease } = found;
    const { reservations } = this.dispatcherOf(subscription);
    if (lease === undefined || !lease.live || !reservations.isFree(lease)) return BUSY;
    return new Promise((resolve) => {
      this.deadLetters.move(subscription, reservations, lease, 'client', (committed) =>
        resolve(committed ? undefined : FAILED),
      );
    });
  }

  private findByHandle(command: DeadLetterCommand): Found | undefined {
    const named = this.settling.find(command.group, command.topic, command.receiptHandle);
    if (named.kind !== 'held') return undefined;
    const { subscription, handle } = named;
    return { subscription, lease: subscription.lease(handle.queueId, handle.queueOffset) };
  }

  /** For clients that send no handle: among what this client holds, the message of that id. */
  private async findById(command: DeadLetterCommand): Promise<Found | undefined> {
    const topic = this.state.topics.byName.get(command.topic);
    const group = this.state.groups.byName.get(command.group);
    const reader = group === undefined ? undefined : readerOf(group, command.clientId);
    const subscription = topic === undefined ? undefined : reader?.subscriptions.get(topic.id);
    if (subscription === undefined) return undefined;
    for (const lease of [...(subscription.heldBy.get(command.clientId) ?? [])]) {
      if ((await run(this.idOf(subscription, lease))) === command.messageId) return { subscription, lease };
    }
    return undefined;
  }

  private *idOf(subscription: Subscription, lease: Lease): Steps<string | undefined> {
    const entry = yield* this.reader.entry(subscription.topic.id, lease.queueId, lease.queueOffset);
    const message = entry === undefined ? undefined : yield* this.reader.message(entry);
    return message?.messageId;
  }
}

const BUSY = fault('TOO_MANY_REQUESTS', 'The delivery of this message is just being written. Repeat the request.');
const FAILED = fault('MASTER_PERSISTENCE_TIMEOUT', 'The dead letter could not be written. Repeat the request.');
