// What lite consumers say that they read. Changes of one group are made one after the other, each is a record, and
// saying again what is known already costs none. In an exclusive group a lite topic goes to the consumer that names it
// last; one that has lost it gets it back by adding it, not by repeating its whole set.
import type { Outcome } from '@fulmar/core/errors.ts';
import { type Fault, fault, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { LiteApi, LiteSyncCommand, LostLiteTopics } from '@fulmar/core/lite-api.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import type { OffsetTarget } from '@fulmar/core/offsets.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { type Committer, refusalOf } from '../committer.ts';
import type { Group } from '../state/groups.ts';
import { liteSubscribeBytes, writeLiteSubscribe } from '../state/records/lite.ts';
import type { BrokerState } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import { UNKNOWN_FATE } from './dispatcher.ts';
import { bindingFault } from './lite-binding.ts';
import type { LiteReceiving } from './lite-receiving.ts';
import type { QueueOffsets } from './queue-offsets.ts';
import type { Receiving } from './receiving.ts';
import { run } from './steps.ts';

export interface LiteSubscribingParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly offsets: QueueOffsets;
  readonly receiving: Receiving;
  readonly lite: LiteReceiving;
  readonly isOnline: (clientId: string) => boolean;
  /** The consumer has shown a sign of life. */
  readonly heard: (clientId: string) => void;
  readonly bounds: Pick<MemoryBounds, 'liteSubscriptions'>;
}

interface Change {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly lost: readonly LostLiteTopics[];
}

export class LiteSubscribing implements Pick<LiteApi, 'sync'> {
  private readonly parts: LiteSubscribingParts;
  private readonly turns = new Map<Group, Promise<unknown>>();
  /**
   * By consumer the lite topics that another one of its exclusive group has taken over. Two consumers that repeat their
   * sets would take them from each other for ever. A new master does not know of it; then one goes back once at most.
   */
  private readonly takenOver = new Map<Group, Map<string, Set<string>>>();

  constructor(parts: LiteSubscribingParts) {
    this.parts = parts;
  }

  async sync(command: LiteSyncCommand): Promise<Outcome<readonly LostLiteTopics[]>> {
    const { groups, topics } = this.parts.state;
    const group = groups.byName.get(command.group);
    const topic = topics.byName.get(command.topic);
    const refused = bindingFault(group, topic) ?? refusalOf(this.parts.committer);
    if (refused !== undefined) return { fault: refused };
    this.parts.heard(command.clientId);
    return this.inTurn(group!, () => this.change(group!, topic!, command));
  }

  /** The consumer is gone, and reads nothing any more. */
  forget(clientId: string): void {
    for (const group of this.parts.state.groups.byId.values()) {
      this.takenOver.get(group)?.delete(clientId);
      if (!group.lite?.consumers.namesOf(clientId).size) continue;
      const gone = { groupId: group.id, clientId, gone: true, added: [], removed: [] };
      this.write(gone, () => this.parts.lite.left(group, clientId));
    }
  }

  private inTurn<T>(group: Group, work: () => Promise<T>): Promise<T> {
    const mine = (this.turns.get(group) ?? Promise.resolve()).then(work);
    const over = mine.then(
      () => {},
      () => {},
    );
    this.turns.set(group, over);
    void over.then(() => {
      if (this.turns.get(group) === over) this.turns.delete(group);
    });
    return mine;
  }

  private async change(
    group: Group,
    parent: Topic,
    command: LiteSyncCommand,
  ): Promise<Outcome<readonly LostLiteTopics[]>> {
    const { clientId, action, from } = command;
    this.forgive(group, command);
    const change = this.changeOf(group, command);
    const { added, removed, lost } = change;
    if (added.length + removed.length === 0) return success(lost);
    const refused = this.quotaFault(group, clientId, change);
    if (refused !== undefined) return { fault: refused };
    if (action === 'add' && from !== undefined) await this.place(group, parent, added, from);
    const written = await new Promise<boolean>((resolve) => {
      this.write({ groupId: group.id, clientId, gone: false, added, removed }, resolve);
    });
    if (!written) return UNKNOWN_FATE;
    this.noteTakenOver(group, clientId, lost);
    this.parts.lite.added(group, clientId, added);
    return success(lost);
  }

  /** What a consumer adds, or does not name any more, is no repetition. */
  private forgive(group: Group, { clientId, action, liteTopics }: LiteSyncCommand): void {
    const names = this.takenOver.get(group)?.get(clientId);
    if (names === undefined) return;
    const named = new Set(liteTopics);
    for (const name of [...names]) if (named.has(name) === (action !== 'replace')) names.delete(name);
    if (names.size === 0 || action === 'clear') this.takenOver.get(group)!.delete(clientId);
  }

  private noteTakenOver(group: Group, by: string, lost: readonly LostLiteTopics[]): void {
    for (const { clientId, liteTopics } of lost) {
      if (clientId === by) continue;
      const ofGroup = this.takenOver.get(group) ?? new Map<string, Set<string>>();
      this.takenOver.set(group, ofGroup);
      ofGroup.set(clientId, new Set([...(ofGroup.get(clientId) ?? []), ...liteTopics]));
    }
  }

  private changeOf(group: Group, { clientId, action, liteTopics }: LiteSyncCommand): Change {
    const { consumers, exclusive } = group.lite!;
    const has = consumers.namesOf(clientId);
    const asked = new Set(action === 'clear' ? [] : liteTopics);
    if (action === 'remove') {
      return { added: [], removed: [...asked].filter((name) => has.has(name)), lost: [] };
    }
    const removed = action === 'add' ? [] : [...has].filter((name) => !asked.has(name));
    const added: string[] = [];
    const lost = new Map<string, string[]>();
    for (const name of asked) {
      if (has.has(name)) continue;
      const owners = exclusive ? [...consumers.clientsOf(name)] : [];
      const isRepeated = this.takenOver.get(group)?.get(clientId)?.has(name) === true;
      const isDenied = isRepeated && owners.some(this.parts.isOnline);
      if (!isDenied) added.push(name);
      for (const loser of isDenied ? [clientId] : owners) lost.set(loser, [...(lost.get(loser) ?? []), name]);
    }
    return { added, removed, lost: [...lost].map(([loser, names]) => ({ clientId: loser, liteTopics: names })) };
  }

  private quotaFault({ lite }: Group, clientId: string, { added, removed }: Change): Fault | undefined {
    if (added.length === 0) return undefined;
    const { state, bounds } = this.parts;
    const more = added.length - removed.length;
    if (lite!.consumers.namesOf(clientId).size + more > LIMITS.liteSubscriptionsPerClient) {
      return fault(
        'LITE_SUBSCRIPTION_QUOTA_EXCEEDED',
        `A consumer reads ${LIMITS.liteSubscriptionsPerClient} lite topics at most. Use more consumers.`,
      );
    }
    if (state.liteSubscriptions + more <= bounds.liteSubscriptions) return undefined;
    return fault(
      'LITE_SUBSCRIPTION_QUOTA_EXCEEDED',
      `All consumers together read ${bounds.liteSubscriptions} lite topics on this broker set, and it takes no more. ` +
        'Read fewer, or add a broker set.',
    );
  }

  /** Where the group goes on in these. One that does not exist yet begins with its first message in any case. */
  private async place(group: Group, parent: Topic, names: readonly string[], from: OffsetTarget): Promise<void> {
    const { state, receiving, offsets } = this.parts;
    const placeOne = async (name: string): Promise<void> => {
      const topic = state.topics.lite.find(parent.id, name);
      if (topic === undefined) return;
      const { value: subscription } = await receiving.subscriptionOf(group, topic);
      if (subscription === undefined) return;
      const nextOffset = await run(offsets.find(topic, 0, from));
      await new Promise<boolean>((resolve) => {
        receiving.dispatcherOf(subscription).reset([{ queueId: 0, nextOffset }], resolve);
      });
    };
    await Promise.all(names.map(placeOne));
  }

  private write(payload: Parameters<typeof liteSubscribeBytes>[0], done: (committed: boolean) => void): void {
    const record = { type: RECORD_TYPE.liteSubscribe, payload };
    this.parts.committer.append(record, liteSubscribeBytes(payload), writeLiteSubscribe, done);
  }
}
