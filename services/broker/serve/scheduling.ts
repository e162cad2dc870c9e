// Recurring messages of the master: keeps schedules, and sends the message of each at its times. One record sends the
// message and moves the schedule on to its next time, so that both happen or neither: no time is sent for twice, and
// none before the clock of the master shows it. What was missed while nobody led is made up for by one message, not by
// many.
import { hash } from 'node:crypto';
import { MESSAGE_TYPE, type MessageToStore } from '@fulmar/core/broker-api.ts';
import { parseCron } from '@fulmar/core/cron/expression.ts';
import { nextMoment } from '@fulmar/core/cron/next.ts';
import { timeZone } from '@fulmar/core/cron/time-zone.ts';
import { type Fault, failure, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import { checkScheduleName } from '@fulmar/core/names.ts';
import type { Observer, Timer, Timers } from '@fulmar/core/ports.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { ScheduleApi, ScheduleDescription, ScheduledMessage, ScheduleRequest } from '@fulmar/core/schedule-api.ts';
import { type Committer, refusalOf } from '../committer.ts';
import { messageRecordOf } from '../state/records/message.ts';
import {
  SCHEDULE_DELETE_BYTES,
  type SchedulePutRecord,
  scheduleFireBytes,
  schedulePutBytes,
  writeScheduleDelete,
  writeScheduleFire,
  writeSchedulePut,
} from '../state/records/schedule.ts';
import { type Schedule, scheduledBytes } from '../state/schedules.ts';
import type { BrokerState } from '../state/state.ts';
import { queueOf } from './sending.ts';

export interface SchedulingParts {
  readonly state: BrokerState;
  readonly committer: Committer;
  readonly wallMs: () => number;
  readonly timers: Timers;
  readonly observer: Observer;
  readonly setHash: number;
}

/** So often at least the clock is looked at: it may have been set. */
const LOOK_MS = 1_000;
/** While records are refused. */
const RETRY_MS = 100;

const UNKNOWN_FATE = fault(
  'MASTER_PERSISTENCE_TIMEOUT',
  'The broker stopped leading while this was being written, so it may or may not count. Look, and repeat it.',
);
const NOT_FOUND = fault('NOT_FOUND', 'There is no such schedule. See fulmar schedule list.');

export class Scheduling implements ScheduleApi {
  private readonly parts: SchedulingParts;
  /** Bytes of the messages of those about which a record is being written. */
  private readonly changing = new Map<string, number>();
  private readonly firing = new Set<number>();
  private nextId = 1;
  private timer: Timer | undefined;
  private stopped = false;

  constructor(parts: SchedulingParts) {
    this.parts = parts;
  }

  start(): void {
    this.arm();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  async create(request: ScheduleRequest): Promise<Outcome<ScheduleDescription>> {
    const { state, committer, wallMs } = this.parts;
    const existing = state.schedules.byName.get(request.name);
    if (existing !== undefined) {
      const topic = state.topics.byId.get(existing.topicId)!.name;
      if (isSame(existing, topic, request)) return success(this.describe(existing));
      return failure('PRECONDITION_FAILED', 'There is another schedule of this name. Delete it, or choose a new name.');
    }
    const refused = this.checkNew(request) ?? refusalOf(committer);
    if (refused !== undefined) return { fault: refused };
    const topic = state.topics.byName.get(request.topic);
    if (topic === undefined) return failure('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');
    const nowMs = wallMs();
    const next = nextOf(request, nowMs);
    if (next.fault !== undefined) return next;
    this.nextId = Math.max(this.nextId, state.schedules.nextId);
    const { name, cron, timeZone: zone, message } = request;
    const moments = { createdAtMs: nowMs, nextAtMs: next.value };
    return this.put({
      id: this.nextId++,
      topicId: topic.id,
      name,
      cron,
      timeZone: zone,
      paused: false,
      ...moments,
      message,
    });
  }

  async setPaused(name: string, paused: boolean): Promise<Outcome<ScheduleDescription>> {
    const { state, committer, wallMs } = this.parts;
    const schedule = state.schedules.byName.get(name);
    if (schedule === undefined) return { fault: NOT_FOUND };
    if (schedule.paused === paused) return success(this.describe(schedule));
    const refused = refusalOf(committer);
    if (refused !== undefined) return { fault: refused };
    // What was missed meanwhile is not made up for, and what was sent is not sent again when the clock went back.
    const next = paused ? success(schedule.nextAtMs) : nextOf(schedule, Math.max(wallMs(), schedule.lastAtMs));
    if (next.fault !== undefined) return next;
    return this.put({ ...schedule, paused, nextAtMs: next.value });
  }

  async delete(name: string): Promise<Fault | undefined> {
    const { state, committer } = this.parts;
    const schedule = state.schedules.byName.get(name);
    if (schedule === undefined) return NOT_FOUND;
    const refused = refusalOf(committer);
    if (refused !== undefined) return refused;
    const record = { type: RECORD_TYPE.scheduleDelete, payload: { id: schedule.id } } as const;
    return new Promise((resolve) => {
      committer.append(record, SCHEDULE_DELETE_BYTES, writeScheduleDelete, (committed) =>
        resolve(committed ? undefined : UNKNOWN_FATE),
      );
    });
  }

  async list(): Promise<Outcome<readonly ScheduleDescription[]>> {
    const all = [...this.parts.state.schedules.byId.values()].map((schedule) => this.describe(schedule));
    return success(all.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  private describe(schedule: Schedule): ScheduleDescription {
    const { name, cron, message, paused, createdAtMs, nextAtMs, lastAtMs, sent } = schedule;
    const topic = this.parts.state.topics.byId.get(schedule.topicId)?.name ?? '';
    const standing = { paused, createdAtMs, nextAtMs, lastAtMs, sent };
    return { name, topic, cron, timeZone: schedule.timeZone, message, ...standing };
  }

  private checkNew({ name, message }: ScheduleRequest): Fault | undefined {
    const { schedules } = this.parts.state;
    const misnamed = checkScheduleName(name);
    if (misnamed !== undefined) return misnamed;
    if (this.changing.has(name)) return fault('TOO_MANY_REQUESTS', 'This schedule is being made. Look in a second.');
    const bytes = scheduledBytes(message);
    if (bytes > LIMITS.scheduledMessageBytes) {
      return fault(
        'MESSAGE_BODY_TOO_LARGE',
        `A recurring message has at most ${LIMITS.scheduledMessageBytes} bytes. Send a reference to more.`,
      );
    }
    const kept = [...schedules.byId.values()].map((each) => scheduledBytes(each.message));
    const total = [...kept, ...this.changing.values()].reduce((sum, each) => sum + each, bytes);
    if (schedules.byId.size + this.changing.size >= LIMITS.schedules || total > LIMITS.schedulesBytes) {
      return fault(
        'TOO_MANY_REQUESTS',
        `A broker set keeps ${LIMITS.schedules} schedules with ${LIMITS.schedulesBytes} bytes in all. Delete some.`,
      );
    }
    if (message.type !== MESSAGE_TYPE.normal && message.type !== MESSAGE_TYPE.fifo) {
      return fault(
        'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE',
        'Only normal and FIFO messages can recur. Send one of these.',
      );
    }
    return undefined;
  }

  private put(payload: SchedulePutRecord): Promise<Outcome<ScheduleDescription>> {
    const { state, committer } = this.parts;
    this.changing.set(payload.name, scheduledBytes(payload.message));
    return new Promise((resolve) => {
      const record = { type: RECORD_TYPE.schedulePut, payload } as const;
      committer.append(record, schedulePutBytes(payload), writeSchedulePut, (committed) => {
        this.changing.delete(payload.name);
        const made = state.schedules.byId.get(payload.id);
        if (!committed) resolve({ fault: UNKNOWN_FATE });
        else if (made === undefined) resolve(failure('TOPIC_NOT_FOUND', 'The topic was deleted meanwhile.'));
        else resolve(success(this.describe(made)));
        this.arm();
      });
    });
  }

  /** Makes sure that what is due next is looked at then, and the clock every second. */
  private arm(leastMs = 0): void {
    this.timer?.cancel();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { id, paused, nextAtMs } of this.parts.state.schedules.byId.values()) {
      if (!paused && !this.firing.has(id)) nextMs = Math.min(nextMs, nextAtMs);
    }
    if (nextMs === Number.POSITIVE_INFINITY || this.stopped) return;
    const waitMs = Math.max(leastMs, Math.min(LOOK_MS, nextMs - this.parts.wallMs()));
    this.timer = this.parts.timers.after(waitMs, () => this.look());
  }

  private look(): void {
    const { state, committer, wallMs, timers } = this.parts;
    if (this.stopped) return;
    if (refusalOf(committer) !== undefined) {
      this.arm(RETRY_MS);
      return;
    }
    const nowMs = wallMs();
    let fired = 0;
    for (const schedule of state.schedules.byId.values()) {
      const isDue = !schedule.paused && schedule.nextAtMs <= nowMs && !this.firing.has(schedule.id);
      if (!isDue) continue;
      if (fired === LIMITS.scheduleFireBatch) {
        timers.soon(() => this.look());
        return;
      }
      fired++;
      this.fire(schedule, nowMs);
    }
    this.arm();
  }

  private fire(schedule: Schedule, nowMs: number): void {
    const { state, committer, observer, setHash } = this.parts;
    const { id, nextAtMs: dueAtMs } = schedule;
    const topic = state.topics.byId.get(schedule.topicId);
    // From now on, however many times have passed since: those are missed.
    const next = nextOf(schedule, Math.max(nowMs, dueAtMs));
    if (topic === undefined) return;
    const message = messageFor(schedule, setHash, dueAtMs, nowMs);
    const payload = {
      ...{ id, dueAtMs, nextAtMs: next.value ?? NEVER_MS },
      message: messageRecordOf(message, topic.id, queueOf(topic, message), nowMs),
    };
    this.firing.add(id);
    const record = { type: RECORD_TYPE.scheduleFire, payload } as const;
    committer.append(record, scheduleFireBytes(payload), writeScheduleFire, (committed, placed) => {
      this.firing.delete(id);
      if (!committed) return;
      if (placed !== undefined) observer.count('fulmar_scheduled_messages_total', { topic: topic.name }, 1);
      this.arm();
    });
  }
}

/** An expression that has no later time, within what a log can say. */
const NEVER_MS = Number.MAX_SAFE_INTEGER;

function nextOf(
  { cron, timeZone: zone }: Pick<ScheduleRequest, 'cron' | 'timeZone'>,
  afterMs: number,
): Outcome<number> {
  const expression = parseCron(cron);
  if (expression.fault !== undefined) return expression;
  const place = timeZone(zone);
  if (place.fault !== undefined) return place;
  const next = nextMoment(expression.value, place.value, afterMs);
  return next === undefined
    ? failure('BAD_REQUEST', 'This cron expression never fires. Look at its days.')
    : success(next);
}

function isSame(existing: Schedule, topic: string, request: ScheduleRequest): boolean {
  const { cron, timeZone: zone, message } = request;
  return (
    existing.cron === cron &&
    existing.timeZone === zone &&
    topic === request.topic &&
    sameMessage(existing.message, message)
  );
}

function sameMessage(one: ScheduledMessage, other: ScheduledMessage): boolean {
  const bytes = (part: keyof Pick<ScheduledMessage, 'userPart' | 'systemPart' | 'body'>): boolean =>
    Buffer.compare(one[part], other[part]) === 0;
  return one.type === other.type && bytes('userPart') && bytes('systemPart') && bytes('body');
}

const SYSTEM_MESSAGE_ID = 3;
const SYSTEM_BORN = 7;
const SYSTEM_DELIVERY = 11;

/** The message of one time: its id says for which one it is, and its delivery time is that one. */
function messageFor(schedule: Schedule, setHash: number, dueAtMs: number, nowMs: number): MessageToStore {
  const { id, message } = schedule;
  const messageId = `01${hash('md5', `${setHash} ${id} ${dueAtMs}`, 'hex').toUpperCase()}`;
  const systemPart = new ProtobufWriter(message.systemPart.length + 96)
    .raw(message.systemPart)
    .string(SYSTEM_MESSAGE_ID, messageId)
    .time(SYSTEM_BORN, nowMs)
    .time(SYSTEM_DELIVERY, dueAtMs)
    .finish();
  return { ...message, messageId, bornAtMs: nowMs, deliverAtMs: 0, systemPart };
}
