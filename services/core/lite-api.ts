// What the cluster's inside says about lite topics: which ones a consumer reads, which ones there are, and
// how far groups have come in them. Part of
// what a broker offers (see broker-api.ts). A lite topic is a queue of its own inside a LITE topic, known by its name
// there.
import type { Fault, Outcome } from './errors.ts';
import type { OffsetTarget } from './offsets.ts';

/** A group whose members each read lite topics of their own choice. */
export interface LiteBinding {
  /** The LITE topic. */
  readonly topic: string;
  /** Only one member reads a lite topic at a time: the one that asked for it last. */
  readonly exclusive: boolean;
}

/** `add` and `remove` name some lite topics, `replace` names all that the consumer reads, `clear` needs no name. */
export const LITE_ACTIONS = ['add', 'remove', 'replace', 'clear'] as const;
export type LiteAction = (typeof LITE_ACTIONS)[number];

export interface LiteSyncCommand {
  readonly group: string;
  readonly topic: string;
  readonly clientId: string;
  readonly action: LiteAction;
  readonly liteTopics: readonly string[];
  /** Where the group goes on in the lite topics that are added; where it has come to if undefined. */
  readonly from?: OffsetTarget | undefined;
}

export interface ListLiteTopicsQuery {
  readonly topic: string;
  /** Only names behind this one. */
  readonly after: string;
  readonly count: number;
}

export interface LiteTopicStatus {
  readonly name: string;
  /** Messages kept. */
  readonly messages: number;
  readonly newestStoredAtMs: number;
  /** Consumers that read it, of all groups. */
  readonly consumers: number;
}

export interface LiteLagsQuery {
  readonly group: string;
  /** Only this one, also when nothing waits there; empty for all that the group has something before it in. */
  readonly liteTopic: string;
}

/** How far a group has come in a lite topic that it has read. */
export interface LiteLag {
  readonly name: string;
  /** Messages not yet handed out. */
  readonly readyMessages: number;
  /** Messages handed out and not yet acknowledged. */
  readonly inFlightMessages: number;
  /** Age of the oldest message that is not yet acknowledged; 0 when there is none. */
  readonly lagMs: number;
}

export interface LiteReadersQuery {
  readonly group: string;
  readonly liteTopic: string;
}

/** A consumer does not have these lite topics, or not any more, because another one of its exclusive group has them. */
export interface LostLiteTopics {
  readonly clientId: string;
  readonly liteTopics: readonly string[];
}

export interface LiteApi {
  /** Changes what a consumer reads, and tells who loses what by that: other consumers, or the one that asks. */
  sync(command: LiteSyncCommand): Promise<Outcome<readonly LostLiteTopics[]>>;
  /** In the order of their names. */
  list(query: ListLiteTopicsQuery): Promise<Outcome<readonly LiteTopicStatus[]>>;
  /** In the order of their names; no more than `LIMITS.listedLiteTopics`. */
  lags(query: LiteLagsQuery): Promise<Outcome<readonly LiteLag[]>>;
  /** Client ids of the consumers of the group that read the lite topic, whether it exists or not. */
  readers(query: LiteReadersQuery): Promise<Outcome<readonly string[]>>;
}

export function refusingLite(refused: Fault): LiteApi {
  return {
    sync: async () => ({ fault: refused }),
    list: async () => ({ fault: refused }),
    lags: async () => ({ fault: refused }),
    readers: async () => ({ fault: refused }),
  };
}
