// Lite topics as administrators see them: those of all broker sets together, in the order of their names.
import type { LiteTopicStatus } from '@fulmar/core/lite-api.ts';
import { type AdminDependencies, answerInTime, byName, PAGE_SIZE_MAX, refuse } from './admin-context.ts';
import { unwrap } from './answering.ts';
import type { UnaryHandler } from './call.ts';

export interface LiteHandlers {
  readonly ListLiteTopics: UnaryHandler<
    { readonly topic?: string; readonly pageSize?: number; readonly page?: string },
    { readonly liteTopics: readonly LiteTopicStatus[]; readonly nextPage: string }
  >;
}

export function liteHandlers(dependencies: AdminDependencies): LiteHandlers {
  const { cluster } = dependencies;

  return {
    async ListLiteTopics(_call, { topic = '', pageSize = 0, page = '' }) {
      const route = cluster.route(topic);
      if (route === undefined) refuse('TOPIC_NOT_FOUND', `There is no topic ${topic}. Look whether the name is right.`);
      if (route.type !== 'lite') refuse('ILLEGAL_TOPIC', `Topic ${topic} is of type ${route.type}, not LITE.`);
      const size = pageSize <= 0 || pageSize > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : pageSize;
      const lists = await Promise.all(
        route.shares.map(async ({ set }) => {
          const broker = cluster.broker(set);
          if (broker === undefined)
            refuse('HA_NOT_AVAILABLE', `Broker set ${set} has no master at the moment. Repeat it.`);
          return unwrap(
            await answerInTime(dependencies, set, () => broker.lite.list({ topic, after: page, count: size })),
          );
        }),
      );
      const merged = mergeByName(lists.flat());
      const liteTopics = merged.slice(0, size);
      const isWhole = merged.length <= size && lists.every((list) => list.length < size);
      return { liteTopics, nextPage: isWhole ? '' : liteTopics.at(-1)!.name };
    },
  };
}

/** One that has messages on several sets, because the topic was spread anew, is one all the same. */
function mergeByName(parts: readonly LiteTopicStatus[]): readonly LiteTopicStatus[] {
  const merged = new Map<string, LiteTopicStatus>();
  for (const part of parts) {
    const other = merged.get(part.name);
    merged.set(part.name, {
      ...part,
      messages: part.messages + (other?.messages ?? 0),
      newestStoredAtMs: Math.max(part.newestStoredAtMs, other?.newestStoredAtMs ?? 0),
    });
  }
  return [...merged.values()].sort(byName);
}
