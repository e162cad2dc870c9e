// What the cluster's inside says about lite topics: which ones a consumer reads, and which ones there are. Part of
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
}

export function refusingLite(refused: Fault): LiteApi {
  return {
    sync: async () => ({ fault: refused }),
    list: async () => ({ fault: refused }),
  };
}
