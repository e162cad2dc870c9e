// Tells what became of one message in every group of its topic: where each group stands now, from the state, and what
// happened, from the log, which is read from the message on until every group's story is over. One call reads a bounded
// part of the log; the page token holds how far each story had come.
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import type { GroupStanding, MessageTrace, TraceEvent, TraceQuery } from '@fulmar/core/finding-api.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { deadLetterTopicOf } from '@fulmar/core/names.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPE, readRecordHeader } from '@fulmar/core/record.ts';
import { type CommitLog, queueKeyOf } from '../log/log.ts';
import { readStateRecord } from '../state/records/codec.ts';
import { storedAtMsIn } from '../state/records/message.ts';
import type { BrokerState, StateRecord } from '../state/state.ts';
import type { Subscription } from '../state/subscription.ts';
import { NO_POINTS, readTracePage, writeTracePage } from './trace-page.ts';
import { isToldBy, PHASE, type Told, TraceStory } from './trace-story.ts';

/** What is read and looked at before other work gets a turn. */
const PIECE_BYTES = 256 * 1024;

const NO_MESSAGE = failure('MESSAGE_NOT_FOUND', 'There is no such message, or it is kept no more.');
const BAD_PAGE = failure('BAD_REQUEST', 'The page does not belong to this trace. Begin anew.');
const TOO_MANY_GROUPS = failure(
  'BAD_REQUEST',
  `More than ${LIMITS.tracedGroups} groups read this topic. Name one of them.`,
);

export interface TracingParts {
  readonly state: BrokerState;
  readonly log: CommitLog;
  readonly timers: Timers;
  readonly wallMs: () => number;
}

interface Story {
  readonly subscription: Subscription;
  readonly story: TraceStory;
}

type Stories = ReadonlyMap<number, Story>;

export class Tracing {
  private readonly parts: TracingParts;

  constructor(parts: TracingParts) {
    this.parts = parts;
  }

  async trace(query: TraceQuery): Promise<Outcome<MessageTrace>> {
    const { state, log } = this.parts;
    const named = state.topics.byName.get(query.topic);
    if (named === undefined) return failure('TOPIC_NOT_FOUND', 'There is no such topic. See fulmar topic list.');
    const topic = query.liteTopic === '' ? named : state.topics.lite.find(named.id, query.liteTopic);
    if (topic === undefined) return NO_MESSAGE;
    const { queueId, queueOffset } = query;
    const [entry] = await log.entries(queueKeyOf(topic.id, queueId), queueOffset, 1);
    if (entry?.queueOffset !== queueOffset) return NO_MESSAGE;
    const subscriptions = [...topic.subscriptions.values()].filter(({ group }) => {
      return query.group === '' || group.name === query.group;
    });
    if (subscriptions.length > LIMITS.tracedGroups) return TOO_MANY_GROUPS;
    const page = query.page === '' ? { position: entry.position, points: NO_POINTS } : readTracePage(query.page);
    if (page === undefined || page.position < entry.position) return BAD_PAGE;
    const groups = subscriptions.map((subscription) => this.standingOf(subscription, queueId, queueOffset));
    const stories = new Map(
      subscriptions.map((subscription): [number, Story] => {
        const groupId = subscription.group.id;
        const story = new TraceStory({ groupId, topicId: topic.id, queueId, queueOffset }, page.points.get(groupId));
        return [groupId, { subscription, story }];
      }),
    );
    const { events, next } = await this.read(stories, page.position);
    return success({ groups, events, next });
  }

  private standingOf(subscription: Subscription, queueId: number, queueOffset: number): GroupStanding {
    const group = subscription.group.name;
    const cursor = Math.max(subscription.cursor(queueId), subscription.pullOffsets.get(queueId) ?? 0);
    if (queueOffset >= cursor) {
      return { group, standing: 'waiting', ahead: queueOffset - cursor, attempt: 0, untilMs: 0 };
    }
    const lease = subscription.lease(queueId, queueOffset);
    if (lease === undefined) return { group, standing: 'settled', ahead: 0, attempt: 0, untilMs: 0 };
    const { attempt, visibleAtMs, lane } = lease;
    const isParked = lane !== 0 && subscription.lanes.get(lane)?.[0] !== lease;
    const leftMs = visibleAtMs - this.parts.log.logTimeMs();
    const standing = isParked ? 'parked' : leftMs > 0 ? 'held' : 'due';
    const untilMs = standing === 'held' ? this.parts.wallMs() + leftMs : 0;
    return { group, standing, ahead: 0, attempt, untilMs };
  }

  private async read(stories: Stories, from: number): Promise<Pick<MessageTrace, 'events' | 'next'>> {
    const { log, state, timers, wallMs } = this.parts;
    const events: TraceEvent[] = [];
    const end = state.position;
    /** From log time to wall time, as it was when the message read last was stored. */
    let shiftMs = wallMs() - log.logTimeMs();
    let at = from;
    while (at < end && !this.areTold(stories)) {
      if (at - from >= LIMITS.traceBytes) return { events, next: writeTracePage(at, stories) };
      const frames = await log.readFrames(at, PIECE_BYTES);
      // Retention has come so far, and has taken the message as well.
      if (frames === undefined || frames.length === 0) break;
      for (const bytes of frames) {
        for (let offset = 0; offset < bytes.length && at < end; ) {
          const { type, length, position, logTimeMs } = readRecordHeader(bytes, offset);
          const payloadAt = offset + RECORD_HEADER_BYTES;
          if (type === RECORD_TYPE.message) shiftMs = storedAtMsIn(bytes, payloadAt) - logTimeMs;
          if (isToldBy(type)) {
            const record = readStateRecord(type, bytes, payloadAt, offset + length);
            for (const { group, told } of tell(stories, record)) {
              const { untilLogMs, ...event } = told;
              const untilMs = untilLogMs === 0 ? 0 : untilLogMs + shiftMs;
              events.push({ group, atMs: logTimeMs + shiftMs, position, untilMs, ...event });
            }
          }
          offset += length;
          at = position + length;
        }
      }
      await new Promise<void>((resume) => timers.soon(resume));
    }
    return { events, next: '' };
  }

  private areTold(stories: Stories): boolean {
    for (const story of stories.values()) if (!this.isTold(story)) return false;
    return true;
  }

  /** Nothing more can be in the log about it, or nothing can have happened at all. */
  private isTold({ subscription, story }: Story): boolean {
    const { queueId, queueOffset } = story.subject;
    if (subscription.resets > 0) return false;
    if (queueOffset >= subscription.cursor(queueId)) return true;
    if (subscription.lease(queueId, queueOffset) !== undefined) return false;
    const { phase } = story.point;
    return phase === PHASE.over || (phase === PHASE.letter && !this.mayBeRedriven(subscription));
  }

  private mayBeRedriven({ group }: Subscription): boolean {
    const { state } = this.parts;
    const letters = state.topics.byName.get(deadLetterTopicOf(group.name));
    return letters !== undefined && (state.redriven.get(letters.id)?.ranges.length ?? 0) > 0;
  }
}

function* tell(stories: Stories, record: StateRecord): Iterable<{ readonly group: string; readonly told: Told }> {
  const concerned = groupIdOf(record);
  for (const [groupId, { subscription, story }] of stories) {
    if (concerned !== undefined && groupId !== concerned) continue;
    const told = story.tell(record);
    if (told !== undefined) yield { group: subscription.group.name, told };
  }
}

/** Undefined when it may be about any group. */
function groupIdOf(record: StateRecord): number | undefined {
  return 'payload' in record && 'groupId' in record.payload ? record.payload.groupId : undefined;
}
