// Finding messages in the fake broker: a plain look through its lists. Traces and redrives are not carried out; what
// was asked is kept, and a test says what is answered.
import type { TopicType } from '@fulmar/core/broker-api.ts';
import { failure } from '@fulmar/core/errors.ts';
import type {
  FindingApi,
  FindQuery,
  FoundMessage,
  MessageTrace,
  RedriveCommand,
  RedriveResult,
  TraceQuery,
} from '@fulmar/core/finding-api.ts';
import type { FakeQueues } from './fake-offsets.ts';

export class FakeFinding implements FindingApi {
  readonly #topics: ReadonlyMap<string, FakeQueues>;
  readonly #typeOf: (topic: string) => TopicType | undefined;
  readonly traces: TraceQuery[] = [];
  readonly redrives: RedriveCommand[] = [];
  story: MessageTrace = { groups: [], events: [], next: '' };
  letters: readonly RedriveResult[] = [];

  constructor(topics: ReadonlyMap<string, FakeQueues>, typeOf: (topic: string) => TopicType | undefined) {
    this.#topics = topics;
    this.#typeOf = typeOf;
  }

  async find(query: FindQuery): ReturnType<FindingApi['find']> {
    if (query.topic !== '' && !this.#topics.has(query.topic)) return failure('TOPIC_NOT_FOUND', 'no such topic');
    const isLite = this.#typeOf(query.topic) === 'lite';
    if (isLite && query.liteTopic === '' && query.messageId === '') return failure('BAD_REQUEST', 'name a lite topic');
    if (!isLite && query.liteTopic !== '') return failure('ILLEGAL_TOPIC', 'not of type LITE');
    const oldestFirst = query.messageId === '' && query.key === '';
    const all = [...this.#topics].flatMap(([topic, queues]) =>
      (query.topic ? query.topic === topic : true) ? found(topic, queues, query) : [],
    );
    all.sort((a, b) => (oldestFirst ? a.position - b.position : b.position - a.position));
    const left = all.filter(({ position }) => {
      if (query.page === 0) return true;
      return oldestFirst ? position >= query.page : position < query.page;
    });
    const messages = left.slice(0, query.count);
    const isMore = left.length > messages.length;
    const next = isMore ? messages.at(-1)!.position + (oldestFirst ? 1 : 0) : 0;
    return { value: { messages, next } };
  }

  async trace(query: TraceQuery): ReturnType<FindingApi['trace']> {
    this.traces.push(query);
    return { value: this.story };
  }

  async redrive(command: RedriveCommand): ReturnType<FindingApi['redrive']> {
    this.redrives.push(command);
    const letter = this.letters[command.page];
    return {
      value: { letters: letter ? [letter] : [], next: command.page + 1 < this.letters.length ? command.page + 1 : 0 },
    };
  }
}

function found(topic: string, { messages }: FakeQueues, query: FindQuery): FoundMessage[] {
  return messages.flatMap(({ message, queueId, queueOffset, storedAtMs }, i) => {
    if (query.messageId !== '' && message.messageId !== query.messageId) return [];
    if (query.liteTopic !== '' && message.messageGroup !== query.liteTopic) return [];
    if (query.key !== '' && !message.keys.includes(query.key)) return [];
    if (storedAtMs < query.fromMs || (query.toMs !== 0 && storedAtMs >= query.toMs)) return [];
    const { messageId, bornAtMs, deliverAtMs, userPart, systemPart, body } = message;
    return [
      {
        ...{ messageId, topic, standing: 'queued' as const, queueId, queueOffset, position: i + 1, detail: '' },
        ...{ bornAtMs, storedAtMs, deliverAtMs, bodyBytes: body.length, userPart, systemPart },
        body: query.withBody ? body : new Uint8Array(),
      },
    ];
  });
}
