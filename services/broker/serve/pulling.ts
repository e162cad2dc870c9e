// Messages for consumers that pull: read from an offset of one queue, without a lease and without any effect on what
// groups are handed. A pull that finds nothing waits until a message of the topic is committed.
import type { PoppedMessage } from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import type { GroupOffset, PullCommand, PulledMessages } from '@fulmar/core/offsets.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { Committer } from '../committer.ts';
import { type CommitLog, type IndexEntry, queueKeyOf } from '../log/log.ts';
import type { MessageRecord } from '../state/records/message.ts';
import { PULL_OFFSET_BYTES, writePullOffset } from '../state/records/offsets.ts';
import type { BrokerState } from '../state/state.ts';
import type { Topic } from '../state/topics.ts';
import { type PreparedFilter, prepareFilter } from './filter.ts';
import type { QueueOffsets } from './queue-offsets.ts';
import type { MessageReader } from './reading.ts';
import type { Receiving } from './receiving.ts';
import { awaited, run, type Steps } from './steps.ts';

/** Messages that one pull looks at when its filter lets few through; the answer says how far it came. */
const LOOKED_AT_MAX = 1_024;
const READ_MAX = 64;

const NO_TOPIC = fault('TOPIC_NOT_FOUND', 'There is no such topic or queue. Ask for the route of the topic.');
const NO_GROUP = fault('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
const NO_OFFSET = fault('OFFSET_NOT_FOUND', 'The group has stored no offset for this queue. Store one first.');
const NO_COMMON_PLACE = fault(
  'PRECONDITION_FAILED',
  'A broadcasting group has no place of its own that an offset could be. Pull with another group.',
);
const UNKNOWN = fault('MASTER_PERSISTENCE_TIMEOUT', 'The offset may or may not be stored. Repeat the request.');

export interface PullingParts {
  readonly state: BrokerState;
  readonly log: CommitLog;
  readonly committer: Committer;
  readonly reader: MessageReader;
  readonly offsets: QueueOffsets;
  readonly receiving: Receiving;
  readonly timers: Timers;
}

export class Pulling {
  private readonly parts: PullingParts;
  private readonly waiting = new Map<Topic, Set<() => void>>();

  constructor(parts: PullingParts) {
    this.parts = parts;
  }

  async pull(command: PullCommand): Promise<Outcome<PulledMessages>> {
    const topic = this.parts.state.topics.byName.get(command.topic);
    if (topic?.nextOffsets[command.queueId] === undefined) return { fault: NO_TOPIC };
    const { value: filter, fault: wrong } = prepareFilter(command.filter);
    if (wrong !== undefined) return { fault: wrong };
    const deadlineMs = this.parts.committer.nowMs() + command.waitMs;
    let from = command.offset;
    for (;;) {
      const outside = await this.outside(topic, command.queueId, from);
      if (outside !== undefined) return { fault: outside };
      const found = await run(this.read(topic, { ...command, offset: from }, filter));
      const leftMs = deadlineMs - this.parts.committer.nowMs();
      if (found.messages.length > 0 || leftMs <= 0) return success(found);
      from = found.nextOffset;
      if (from >= topic.nextOffsets[command.queueId]!) await this.change(topic, leftMs);
    }
  }

  /** Messages of these topics were committed. */
  wake(topics: ReadonlySet<Topic>): void {
    for (const topic of topics) for (const wake of [...(this.waiting.get(topic) ?? [])]) wake();
  }

  close(): void {
    this.wake(new Set(this.waiting.keys()));
  }

  async putOffset({ group, topic, queueId, offset }: GroupOffset): Promise<Fault | undefined> {
    const found = this.find(group, topic, queueId);
    if (found.fault !== undefined) return found.fault;
    if (found.value.group.consume === 'broadcasting') return NO_COMMON_PLACE;
    const outside = await this.outside(found.value.topic, queueId, offset);
    if (outside !== undefined) return outside;
    const { value: subscription, fault: refused } = await this.parts.receiving.subscriptionOf(
      found.value.group,
      found.value.topic,
    );
    if (refused !== undefined) return refused;
    const payload = { groupId: subscription.group.id, topicId: subscription.topic.id, queueId, offset };
    return new Promise((resolve) => {
      const done = (committed: boolean): void => resolve(committed ? undefined : UNKNOWN);
      const record = { type: RECORD_TYPE.pullOffset, payload } as const;
      this.parts.committer.append(record, PULL_OFFSET_BYTES, writePullOffset, done);
    });
  }

  getOffset(group: string, topic: string, queueId: number): Outcome<number> {
    const { value, fault: refused } = this.find(group, topic, queueId);
    if (refused !== undefined) return { fault: refused };
    const offset = value.group.subscriptions.get(value.topic.id)?.pullOffsets.get(queueId);
    return offset === undefined ? { fault: NO_OFFSET } : success(offset);
  }

  private find(groupName: string, topicName: string, queueId: number) {
    const topic = this.parts.state.topics.byName.get(topicName);
    if (topic?.nextOffsets[queueId] === undefined) return { fault: NO_TOPIC };
    const group = this.parts.state.groups.byName.get(groupName);
    return group === undefined ? { fault: NO_GROUP } : success({ group, topic });
  }

  private async outside(topic: Topic, queueId: number, offset: number): Promise<Fault | undefined> {
    const earliest = await run(this.parts.offsets.earliest(topic, queueId));
    const end = topic.nextOffsets[queueId]!;
    if (offset >= earliest && offset <= end) return undefined;
    const range = `${earliest} to ${end}`;
    return fault('ILLEGAL_OFFSET', `The offset is outside of ${range}, which the queue has. Use QueryOffset.`);
  }

  private *read(topic: Topic, command: PullCommand, filter: PreparedFilter): Steps<PulledMessages> {
    const { log, reader } = this.parts;
    const { queueId, maxMessages, maxBytes } = command;
    const key = queueKeyOf(topic.id, queueId);
    const messages: PoppedMessage[] = [];
    let bytes = 0;
    let next = command.offset;
    while (messages.length < maxMessages && next < command.offset + LOOKED_AT_MAX) {
      const wanted = Math.min(READ_MAX, maxMessages - messages.length, topic.nextOffsets[queueId]! - next);
      if (wanted <= 0) break;
      const entries = yield* awaited(log.entries(key, next, wanted));
      if (entries.length === 0) break;
      const near: IndexEntry[] = [];
      for (const entry of entries) {
        if (near.length + messages.length > 0 && bytes + entry.length > maxBytes) break;
        near.push(entry);
        bytes += entry.length;
      }
      if (near.length === 0) break;
      const records = yield* reader.messages(near);
      for (const [i, record] of records.entries()) {
        const { queueOffset } = near[i]!;
        if (record !== undefined && filter.passes(record)) messages.push(pulled(record, queueId, queueOffset));
        next = queueOffset + 1;
      }
      if (near.length < entries.length) break;
    }
    return { messages, nextOffset: next };
  }

  private change(topic: Topic, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.waiting.get(topic) ?? new Set();
      this.waiting.set(topic, waiting);
      const wake = (): void => {
        timer.cancel();
        waiting.delete(wake);
        if (waiting.size === 0) this.waiting.delete(topic);
        resolve();
      };
      const timer = this.parts.timers.after(withinMs, wake);
      waiting.add(wake);
    });
  }
}

function pulled(record: MessageRecord, queueId: number, queueOffset: number): PoppedMessage {
  const { bornAtMs, storedAtMs, userPart, systemPart, body } = record;
  const handle = { receiptHandle: '', attempt: 1, invisibleMs: 0 };
  return { ...handle, queueId, queueOffset, bornAtMs, storedAtMs, userPart, systemPart, body };
}
