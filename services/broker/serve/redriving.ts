// Gives a group dead letters of its own again: each message is handed out once more from the place where it lies in its
// topic, so that no other group sees anything of it, and with all attempts before it. A letter is marked in the same
// record, and not redriven twice unless that is asked for. One call at a time, so that each sees what the one before
// did.
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { RedriveCommand, Redriven, RedriveOutcome, RedriveResult } from '@fulmar/core/finding-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { MemoryBounds } from '@fulmar/core/memory-bounds.ts';
import { deadLetterTopicOf } from '@fulmar/core/names.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import { type Committer, refusalOf } from '../committer.ts';
import { type CommitLog, type IndexEntry, queueKeyOf } from '../log/log.ts';
import type { Group } from '../state/groups.ts';
import type { DeadLetterRecord } from '../state/records/dead-letter.ts';
import { idKey, messageIn } from '../state/records/keys.ts';
import { type RedrivenLetter, redriveBytes, writeRedrive } from '../state/records/redrive.ts';
import type { BrokerState } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import { UNKNOWN_FATE } from './dispatcher.ts';
import { laneOf } from './gather.ts';
import type { KeySearch } from './key-search.ts';
import type { QueueOffsets } from './queue-offsets.ts';
import type { MessageReader } from './reading.ts';
import { run } from './steps.ts';

const NO_GROUP = failure('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. See fulmar group list.');
const FULL = fault(
  'TOO_MANY_REQUESTS',
  'The group has as much before it as it may. Let its consumers go on, and repeat the request then.',
);
const SCATTERED = fault(
  'TOO_MANY_REQUESTS',
  'Too many single letters of this group were redriven. Redrive those between them as well.',
);
/** A dead-letter topic has one queue. */
const QUEUE = 0;

export interface RedrivingParts {
  readonly state: BrokerState;
  readonly log: CommitLog;
  readonly committer: Committer;
  readonly reader: MessageReader;
  readonly offsets: QueueOffsets;
  readonly search: KeySearch;
  readonly bounds: MemoryBounds;
  readonly observer: Observer;
}

interface Letter {
  readonly offset: number;
  readonly record: DeadLetterRecord;
  /** Where the message itself lies; undefined when it is kept no more. */
  readonly original: { readonly topic: Topic; readonly entry: IndexEntry } | undefined;
}

interface Letters {
  readonly letters: readonly Letter[];
  readonly next: number;
}

export class Redriving {
  private readonly parts: RedrivingParts;
  private last: Promise<unknown> = Promise.resolve();

  constructor(parts: RedrivingParts) {
    this.parts = parts;
  }

  redrive(command: RedriveCommand): Promise<Outcome<Redriven>> {
    const answer = this.last.then(() => this.carryOut(command));
    this.last = answer.catch(() => undefined);
    return answer;
  }

  private async carryOut(command: RedriveCommand): Promise<Outcome<Redriven>> {
    const { state, committer } = this.parts;
    const group = state.groups.byName.get(command.group);
    if (group === undefined) return NO_GROUP;
    const topic = state.topics.byName.get(deadLetterTopicOf(group.name));
    if (topic === undefined) return success({ letters: [], next: 0 });
    const { letters, next } =
      command.messageId === '' ? await this.byTime(command, group, topic) : await this.byId(command, group, topic);
    const results = letters.map((letter) => this.judge(letter, group, topic, command.again));
    const chosen = letters.filter((_, i) => results[i]!.outcome === 'redriven');
    if (command.dryRun || chosen.length === 0) return success({ letters: results, next });
    const refused = refusalOf(committer) ?? this.shortage(group, topic, chosen);
    if (refused !== undefined) return { fault: refused };
    return (await this.write(command, group, topic, chosen)) ? success({ letters: results, next }) : UNKNOWN_FATE;
  }

  // --- which letters

  private async byTime(command: RedriveCommand, group: Group, topic: Topic): Promise<Letters> {
    const { log, offsets } = this.parts;
    const key = queueKeyOf(topic.id, QUEUE);
    const end = topic.nextOffsets[QUEUE]!;
    const kind = command.fromMs === 0 ? 'earliest' : 'time';
    // The page is an offset; 0 is the beginning in any case.
    const from = command.page || (await run(offsets.find(topic, QUEUE, { kind, value: command.fromMs })));
    const entries = await log.entries(key, from, Math.min(LIMITS.redriveLetters, Math.max(0, end - from)));
    const letters: Letter[] = [];
    for (const { position, queueOffset } of entries) {
      const letter = await this.letterAt(position, queueOffset, group);
      const storedAtMs = letter?.record.message.storedAtMs ?? 0;
      if (command.toMs !== 0 && storedAtMs >= command.toMs) return { letters, next: 0 };
      if (letter !== undefined) letters.push(letter);
    }
    const next = (entries.at(-1)?.queueOffset ?? end) + 1;
    return { letters, next: next < end ? next : 0 };
  }

  private async byId({ messageId, page }: RedriveCommand, group: Group, topic: Topic): Promise<Letters> {
    const { log, search } = this.parts;
    const letters: Letter[] = [];
    const end = await search.run(idKey(messageId), page || Number.MAX_SAFE_INTEGER, async ({ position, record }) => {
      if (letters.length === LIMITS.redriveLetters) return false;
      const message = messageIn(record);
      if (message?.messageId !== messageId || message.topicId !== topic.id) return true;
      const offset = await log.offsetAtPosition(queueKeyOf(topic.id, QUEUE), position, topic.nextOffsets[QUEUE]!);
      const letter = await this.letterAt(position, offset, group);
      if (letter !== undefined) letters.push(letter);
      return true;
    });
    return { letters, next: end ?? 0 };
  }

  /** Undefined for what is no letter of this group: it was deleted and made anew, or retention was faster. */
  private async letterAt(position: number, offset: number, group: Group): Promise<Letter | undefined> {
    const { state, reader, search } = this.parts;
    const record = (await search.read(position))?.record;
    if (record?.type !== RECORD_TYPE.deadLetter || record.payload.groupId !== group.id) return undefined;
    const { topicId, queueId, queueOffset } = record.payload;
    const topic = state.topics.byId.get(topicId);
    const entry = topic && (await run(reader.entry(topicId, queueId, queueOffset)));
    return { offset, record: record.payload, original: topic && entry && { topic, entry } };
  }

  // --- what becomes of them

  private judge(letter: Letter, group: Group, letters: Topic, again: boolean): RedriveResult {
    const { state } = this.parts;
    const { topicId, queueId, queueOffset, message } = letter.record;
    const topic = state.topics.byId.get(topicId)?.name ?? '';
    const subject = { messageId: message.messageId, topic, queueId, queueOffset, letterOffset: letter.offset };
    return { ...subject, outcome: this.outcomeOf(letter, group, letters, again) };
  }

  private outcomeOf(
    { offset, record, original }: Letter,
    group: Group,
    letters: Topic,
    again: boolean,
  ): RedriveOutcome {
    const subscription = group.subscriptions.get(record.topicId);
    if (original === undefined || subscription === undefined) return 'gone';
    const { queueId, queueOffset } = record;
    const isOpen =
      queueOffset >= subscription.cursor(queueId) || subscription.lease(queueId, queueOffset) !== undefined;
    if (isOpen) return 'open';
    return this.parts.state.redriven.get(letters.id)?.has(offset) && !again ? 'already' : 'redriven';
  }

  /** Why there is no room for what these letters need, if there is none. */
  private shortage(group: Group, letters: Topic, chosen: readonly Letter[]): Fault | undefined {
    const { state, bounds } = this.parts;
    const ranges = state.redriven.get(letters.id)?.ranges.length ?? 0;
    if (ranges + chosen.length > LIMITS.redrivenRanges) return SCATTERED;
    if (state.leases + chosen.length > bounds.leasesTotal) return FULL;
    const held = [...group.subscriptions.values()].map(({ leases }) => leases.size);
    return Math.max(...held) + chosen.length > bounds.leasesPerSubscription ? FULL : undefined;
  }

  private async write(
    { again }: RedriveCommand,
    group: Group,
    letterTopic: Topic,
    chosen: readonly Letter[],
  ): Promise<boolean> {
    const { committer, offsets, observer } = this.parts;
    // A message that became a letter twice is opened once, and both of its letters are marked.
    const letters = chosen.map(({ offset, record, original }): RedrivenLetter => {
      const { topicId, queueId, queueOffset } = record;
      const subscription = group.subscriptions.get(topicId)!;
      const lane = laneOf(subscription, queueId, original!.entry.groupHash);
      return { letterOffset: offset, topicId, queueId, queueOffset, lane };
    });
    const forgetBefore = await run(offsets.earliest(letterTopic, QUEUE));
    const payload = { groupId: group.id, letterTopicId: letterTopic.id, again, forgetBefore, letters };
    const isCommitted = await new Promise<boolean>((resolve) => {
      const record = { type: RECORD_TYPE.redrive, payload } as const;
      committer.append(record, redriveBytes(payload), writeRedrive, resolve);
    });
    if (!isCommitted) return false;
    for (const { original } of chosen) {
      const labels = { consumer_group: group.name, topic: original!.topic.name };
      observer.count('fulmar_redriven_letters_total', labels, 1);
    }
    return true;
  }
}
