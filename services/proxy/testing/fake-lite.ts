// What lite consumers read on a fake broker set: sets of names for each consumer of a group, the last one to add a lite
// topic has it alone if the group is exclusive.
import type { GroupDescription, MessageToStore } from '@fulmar/core/broker-api.ts';
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { LiteApi, LiteLag, LiteSyncCommand, LostLiteTopics } from '@fulmar/core/lite-api.ts';

export class FakeLite implements LiteApi {
  readonly #read = new Map<string, Set<string>>();
  /** Consumers with a lite topic that another one has taken over. */
  readonly #lost = new Set<string>();
  readonly #messagesOf: (topic: string) => readonly MessageToStore[];
  readonly #groupOf: (name: string) => GroupDescription | undefined;
  readonly #lagsOf: (group: string, topic: string) => readonly LiteLag[];
  readonly #changed: () => void;

  constructor(
    messagesOf: (topic: string) => readonly MessageToStore[],
    groupOf: (name: string) => GroupDescription | undefined,
    lagsOf: (group: string, topic: string) => readonly LiteLag[],
    changed: () => void,
  ) {
    this.#messagesOf = messagesOf;
    this.#groupOf = groupOf;
    this.#lagsOf = lagsOf;
    this.#changed = changed;
  }

  namesOf(group: string, clientId: string): ReadonlySet<string> {
    return this.#read.get(`${group}\n${clientId}`) ?? new Set();
  }

  forget(clientId: string): void {
    for (const key of this.#read.keys()) if (key.endsWith(`\n${clientId}`)) this.#read.delete(key);
  }

  async sync(command: LiteSyncCommand): Promise<Outcome<readonly LostLiteTopics[]>> {
    const { group, topic, clientId, action, liteTopics } = command;
    const lite = this.#groupOf(group)?.lite;
    if (lite === undefined) return failure('ILLEGAL_CONSUMER_GROUP', 'not bound');
    if (lite.topic !== topic) return failure('ILLEGAL_TOPIC', 'bound to another topic');
    const names = new Set(action === 'add' || action === 'remove' ? this.namesOf(group, clientId) : []);
    const lost: LostLiteTopics[] = [];
    for (const name of action === 'clear' ? [] : liteTopics) {
      if (action === 'remove') names.delete(name);
      else if (this.namesOf(group, clientId).has(name)) names.add(name);
      else if (!lite.exclusive) names.add(name);
      else lost.push(...this.#contend(group, clientId, name, action, names));
    }
    if (names.size > LIMITS.liteSubscriptionsPerClient) return failure('LITE_SUBSCRIPTION_QUOTA_EXCEEDED', 'too many');
    this.#read.set(`${group}\n${clientId}`, names);
    this.#changed();
    return success(lost);
  }

  #contend(group: string, clientId: string, name: string, action: string, names: Set<string>): LostLiteTopics[] {
    const owner = [...this.#read].find(([key, read]) => key.startsWith(`${group}\n`) && read.has(name));
    const isRepeated = action === 'replace' && this.#lost.has(`${group}\n${clientId}\n${name}`);
    if (owner !== undefined && isRepeated) return [{ clientId, liteTopics: [name] }];
    names.add(name);
    owner?.[1].delete(name);
    if (owner !== undefined) this.#lost.add(`${owner[0]}\n${name}`);
    return owner === undefined ? [] : [{ clientId: owner[0].slice(group.length + 1), liteTopics: [name] }];
  }

  async lags({ group, liteTopic }: Parameters<LiteApi['lags']>[0]): ReturnType<LiteApi['lags']> {
    const { value: topic, fault } = this.#boundTopic(group);
    if (fault !== undefined) return { fault };
    return success(
      this.#lagsOf(group, topic).filter(({ name, readyMessages, inFlightMessages }) =>
        liteTopic === '' ? readyMessages + inFlightMessages > 0 : name === liteTopic,
      ),
    );
  }

  async readers({ group, liteTopic }: Parameters<LiteApi['readers']>[0]): ReturnType<LiteApi['readers']> {
    const { fault } = this.#boundTopic(group);
    if (fault !== undefined) return { fault };
    const readers = [...this.#read].filter(([key, names]) => key.startsWith(`${group}\n`) && names.has(liteTopic));
    return success(readers.map(([key]) => key.slice(group.length + 1)));
  }

  #boundTopic(group: string): Outcome<string> {
    const description = this.#groupOf(group);
    if (description === undefined) return failure('CONSUMER_GROUP_NOT_FOUND', 'no such group');
    const topic = description.lite?.topic;
    return topic === undefined ? failure('ILLEGAL_CONSUMER_GROUP', 'not bound') : success(topic);
  }

  async list({ topic, after, count }: Parameters<LiteApi['list']>[0]): ReturnType<LiteApi['list']> {
    const messages = this.#messagesOf(topic);
    const names = [...new Set(messages.map(({ messageGroup }) => messageGroup))].filter((name) => name > after).sort();
    return success(
      names.slice(0, count).map((name) => ({
        name,
        messages: messages.filter(({ messageGroup }) => messageGroup === name).length,
        newestStoredAtMs: 1,
        consumers: [...this.#read.values()].filter((read) => read.has(name)).length,
      })),
    );
  }
}
