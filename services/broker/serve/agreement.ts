// Which filter a group consumes a topic with: one at a time for all its members, because a message that the filter does
// not let through is settled for the whole group. A member that asks for another one is refused as long as a member
// that asked last for the one in force is online; when there is none left, the new filter takes over, with a record.
import { type Fault, fault } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import { subscriptionFilterBytes, writeSubscriptionFilter } from '../state/records/subscription-filter.ts';
import type { Subscription } from '../state/subscription.ts';

/** Every consumer of a new master's group asks again within this time, if it is online. */
export const MEMBERS_KNOWN_AFTER_MS = 30_000;
const MEMBERS_BEFORE_FIRST_SWEEP = 1_000;

export interface AgreementParts {
  readonly committer: Committer;
  readonly isOnline: (clientId: string) => boolean;
}

export class Agreement {
  private readonly subscription: Subscription;
  private readonly parts: AgreementParts;
  /** What each consumer asked for last. */
  private readonly asked = new Map<string, string>();
  private sweepAt = MEMBERS_BEFORE_FIRST_SWEEP;
  /** Its record may still be on the way. */
  private inForce: string;
  private readonly membersKnownAtMs: number;

  /** Before `membersKnownAtMs`, in log time, a new master does not know who the members are. */
  constructor(subscription: Subscription, parts: AgreementParts, membersKnownAtMs: number) {
    this.subscription = subscription;
    this.parts = parts;
    this.inForce = subscription.filter;
    this.membersKnownAtMs = membersKnownAtMs;
  }

  get filter(): string {
    return this.inForce;
  }

  /** Why this consumer may not receive with the filter, or undefined; then the filter is in force. */
  admit(clientId: string, filter: string): Fault | undefined {
    this.asked.set(clientId, filter);
    if (this.asked.size > this.sweepAt) this.sweep();
    if (filter === this.inForce) return undefined;
    const { committer } = this.parts;
    if (committer.nowMs() < this.membersKnownAtMs || this.isUsed(this.inForce)) return this.refusal(filter);
    this.inForce = filter;
    const payload = { groupId: this.subscription.group.id, topicId: this.subscription.topic.id, filter };
    committer.append(
      { type: RECORD_TYPE.subscriptionFilter, payload },
      subscriptionFilterBytes(payload),
      writeSubscriptionFilter,
    );
    return undefined;
  }

  /** The other filters that members who are online asked for last. */
  refusedFilters(): readonly string[] {
    this.sweep();
    const filters = new Set(this.asked.values());
    filters.delete(this.inForce);
    return [...filters].sort().slice(0, LIMITS.refusedFiltersShown);
  }

  private isUsed(filter: string): boolean {
    for (const [clientId, last] of this.asked) {
      if (last === filter && this.parts.isOnline(clientId)) return true;
    }
    return false;
  }

  private sweep(): void {
    for (const clientId of this.asked.keys()) if (!this.parts.isOnline(clientId)) this.asked.delete(clientId);
    this.sweepAt = Math.max(MEMBERS_BEFORE_FIRST_SWEEP, 2 * this.asked.size);
  }

  private refusal(filter: string): Fault {
    return fault(
      'PRECONDITION_FAILED',
      `Group ${this.subscription.group.name} consumes topic ${this.subscription.topic.name} with the filter ` +
        `"${shortened(this.inForce)}", and this consumer asks for "${shortened(filter)}". All members of a group use ` +
        'one filter: stop the consumers with the other one, or use a group of its own.',
    );
  }
}

function shortened(filter: string): string {
  return filter.length <= 200 ? filter : `${filter.slice(0, 200)}...`;
}
