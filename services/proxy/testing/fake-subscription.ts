// One consumer group in one topic of the fake broker: which messages it may have, who holds them, and what becomes of
// them. Slow and simple; it looks at every message each time.
import type { GroupDescription, MessageFilter, MessageToStore } from '@fulmar/core/broker-api.ts';
import { sqlFilterOf } from '@fulmar/core/filter/sql-filter.ts';

export interface StoredMessage {
  readonly order: number;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly storedAtMs: number;
  readonly message: MessageToStore;
}

export interface Lease {
  readonly stored: StoredMessage;
  state: 'leased' | 'waiting' | 'settled';
  /** Deliveries so far. */
  attempt: number;
  visibleAtMs: number;
  handle: string;
  clientId: string;
  autoRenew: boolean;
  attemptId: string;
}

export interface Selection {
  readonly filter: MessageFilter;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

export class FakeSubscription {
  readonly #leases = new Map<number, Lease>();
  readonly #group: () => GroupDescription;
  readonly #firstOrder: number;
  readonly #toDeadLetters: (stored: StoredMessage) => void;

  constructor(group: () => GroupDescription, firstOrder: number, toDeadLetters: (stored: StoredMessage) => void) {
    this.#group = group;
    this.#firstOrder = firstOrder;
    this.#toDeadLetters = toDeadLetters;
  }

  leases(): Iterable<Lease> {
    return this.#leases.values();
  }

  /** How many of these messages wait to be handed out. */
  waiting(messages: readonly StoredMessage[]): number {
    const waits = ({ order }: StoredMessage): boolean =>
      order >= this.#firstOrder && (this.#leases.get(order)?.state ?? 'waiting') === 'waiting';
    return messages.filter(waits).length;
  }

  /** A reset: from these offsets on, by queue, everything comes again, and nothing of what is before them. */
  moveTo(messages: readonly StoredMessage[], offsets: readonly number[]): void {
    for (const stored of messages) {
      this.#leases.delete(stored.order);
      if (stored.queueOffset < offsets[stored.queueId]!) this.#leaseOf(stored, 0).state = 'settled';
    }
  }

  /** Behind the last message of a queue that was handed out. */
  cursor(queueId: number): number {
    const out = [...this.#leases.values()].filter(({ stored, attempt }) => stored.queueId === queueId && attempt > 0);
    return Math.max(0, ...out.map(({ stored }) => stored.queueOffset + 1));
  }

  byHandle(handle: string): Lease | undefined {
    for (const lease of this.#leases.values()) if (lease.handle === handle) return lease;
    return undefined;
  }

  repeated(attemptId: string): Lease[] {
    if (attemptId === '') return [];
    return [...this.#leases.values()].filter((lease) => lease.attemptId === attemptId && lease.state === 'leased');
  }

  /** Messages that may be handed out now, marked as leased by nobody yet. */
  take(messages: readonly StoredMessage[], selection: Selection, nowMs: number): Lease[] {
    const taken: Lease[] = [];
    const blockedGroups = new Set<string>();
    let bytes = 0;
    for (const stored of messages) {
      if (stored.order < this.#firstOrder || taken.length === selection.maxMessages) continue;
      const lease = this.#leaseOf(stored, nowMs);
      if (lease.state === 'settled') continue;
      if (lease.state === 'waiting' && !matches(stored.message, selection.filter)) {
        lease.state = 'settled';
        continue;
      }
      const { messageGroup, body } = stored.message;
      const isBlocked = messageGroup !== '' && blockedGroups.has(messageGroup);
      blockedGroups.add(messageGroup);
      if (isBlocked || lease.state === 'leased' || lease.visibleAtMs > nowMs) continue;
      if (lease.attempt >= this.#group().maxAttempts) {
        this.deadLetter(lease);
        blockedGroups.delete(messageGroup);
        continue;
      }
      if (taken.length > 0 && bytes + body.length > selection.maxBytes) continue;
      bytes += body.length;
      taken.push(lease);
    }
    return taken;
  }

  visible(messages: readonly StoredMessage[], nowMs: number): readonly StoredMessage[] {
    return messages.filter((stored) => {
      const lease = this.#leaseOf(stored, nowMs);
      return stored.order >= this.#firstOrder && lease.state === 'waiting' && lease.visibleAtMs <= nowMs;
    });
  }

  deadLetter(lease: Lease): void {
    lease.state = 'settled';
    this.#toDeadLetters(lease.stored);
  }

  #leaseOf(stored: StoredMessage, nowMs: number): Lease {
    let lease = this.#leases.get(stored.order);
    if (lease === undefined) {
      lease = {
        stored,
        state: 'waiting',
        attempt: 0,
        visibleAtMs: 0,
        handle: '',
        clientId: '',
        autoRenew: false,
        attemptId: '',
      };
      this.#leases.set(stored.order, lease);
    }
    if (lease.state === 'leased' && lease.visibleAtMs <= nowMs) lease.state = 'waiting';
    return lease;
  }
}

export function matches(message: MessageToStore, { tags, sql }: MessageFilter): boolean {
  if (sql !== undefined) return sqlFilterOf(sql).value!.passes(message);
  return tags === undefined || (message.tag !== '' && tags.includes(message.tag));
}
