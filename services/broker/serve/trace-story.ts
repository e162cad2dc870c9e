// What the log tells about one message and one group: fed with the records about consumption in their order, it says
// which of them concern the message, and whether the story is over. Pure; it knows as much of a lease as a trace needs.
import type { TraceEvent, TraceEventKind } from '@fulmar/core/finding-api.ts';
import { RECORD_TYPE } from '@fulmar/core/record.ts';
import type { MessagePlace, PopRecord } from '../state/records/consumption.ts';
import type { StateRecord } from '../state/state.ts';

/** `before` it was handed out, `open` in some way, `over`, or over with a `letter`. Numbers are part of page tokens. */
export const PHASE = { before: 0, open: 1, over: 2, letter: 3 } as const;

/** How far a story has come; everything that the next page has to know. */
export interface StoryPoint {
  readonly phase: number;
  /** Of the delivery that holds the message. */
  readonly popId: number;
  readonly attempt: number;
  readonly client: string;
  /** The lease lasts as long as the client is online. */
  readonly renewed: boolean;
}

const BEGINNING: StoryPoint = { phase: PHASE.before, popId: 0, attempt: 0, client: '', renewed: false };

export interface StorySubject {
  readonly groupId: number;
  readonly topicId: number;
  readonly queueId: number;
  readonly queueOffset: number;
}

export type Told = Pick<TraceEvent, 'kind' | 'attempt' | 'client' | 'detail'> & {
  /** Log time until which nobody else gets it; 0 for none. */
  readonly untilLogMs: number;
};

export class TraceStory {
  readonly subject: StorySubject;
  private phase: number;
  private popId: number;
  private client: string;
  private attempt: number;
  private renewed: boolean;

  constructor(subject: StorySubject, { phase, popId, attempt, client, renewed }: StoryPoint = BEGINNING) {
    this.subject = subject;
    this.phase = phase;
    this.popId = popId;
    this.attempt = attempt;
    this.client = client;
    this.renewed = renewed;
  }

  get point(): StoryPoint {
    const { phase, popId, attempt, client, renewed } = this;
    return { phase, popId, attempt, client, renewed };
  }

  /** What a record says about the message, if anything. */
  tell(record: StateRecord): Told | undefined {
    const { groupId, topicId, queueId, queueOffset } = this.subject;
    if (record.type === RECORD_TYPE.clientGone) {
      const { clientId, visibleAtMs } = record.payload;
      if (this.phase !== PHASE.open || !this.renewed || this.client !== clientId) return undefined;
      this.renewed = false;
      return this.told('client gone', visibleAtMs);
    }
    if (record.type === RECORD_TYPE.redrive) {
      if (record.payload.groupId !== groupId) return undefined;
      const letter = record.payload.letters.find((of) => of.topicId === topicId && this.isHere(of));
      if (letter === undefined) return undefined;
      this.phase = PHASE.open;
      this.forgetDelivery();
      return this.told('redriven', 0, `as dead letter ${letter.letterOffset}`);
    }
    if (!isAboutSubscription(record) || record.payload.groupId !== groupId || record.payload.topicId !== topicId) {
      return undefined;
    }
    switch (record.type) {
      case RECORD_TYPE.subscriptionPut: {
        const start = record.payload.startOffsets[queueId] ?? 0;
        if (this.phase !== PHASE.before || start <= queueOffset) return undefined;
        this.phase = PHASE.over;
        return this.told('group began behind it', 0, `at offset ${start}`);
      }
      case RECORD_TYPE.pop:
        return this.tellPop(record.payload);
      case RECORD_TYPE.ack:
        return record.payload.leases.some((of) => this.isHere(of) && of.popId === this.popId)
          ? this.end('acknowledged')
          : undefined;
      case RECORD_TYPE.changeInvisible: {
        const change = record.payload.leases.find((of) => this.isHere(of) && of.popId === this.popId);
        if (change === undefined) return undefined;
        if (change.uncounted) {
          const told = this.told('given back', 0, 'not counted as an attempt');
          this.forgetDelivery();
          return told;
        }
        return this.told('put off', change.visibleAtMs);
      }
      case RECORD_TYPE.deadLetter: {
        if (!this.isHere(record.payload)) return undefined;
        const { reason, attempts } = record.payload;
        const detail = reason === 'unknown' ? '' : `${REASONS[reason]}, attempt ${attempts}`;
        return { ...this.end('dead letter', detail), attempt: attempts || this.attempt };
      }
      case RECORD_TYPE.groupReset: {
        const to = record.payload.queues.find((of) => of.queueId === queueId)?.nextOffset;
        if (to === undefined) return undefined;
        this.forgetDelivery();
        this.phase = to > queueOffset ? PHASE.over : PHASE.before;
        return this.told('reset', 0, `to offset ${to}`);
      }
      default:
        return undefined;
    }
  }

  private tellPop({ taken, parked, dropped, advances, ...delivery }: PopRecord): Told | undefined {
    const found = taken.find((of) => this.isHere(of));
    if (found !== undefined) {
      const { popId, visibleAtMs, renewedBy, client } = delivery;
      this.phase = PHASE.open;
      this.popId = popId;
      this.client = renewedBy || client || '';
      this.attempt = found.attempt;
      this.renewed = renewedBy !== '';
      return this.told('delivered', visibleAtMs, this.renewed ? 'as long as the client is online' : '');
    }
    if (parked.some((of) => this.isHere(of))) {
      this.phase = PHASE.open;
      return this.told('parked', 0, 'behind an earlier message of its message group');
    }
    if (dropped.some((of) => this.isHere(of))) {
      return this.end('dropped', 'the filter lets it through no more, or it was deleted');
    }
    const { queueId, queueOffset } = this.subject;
    const isPassed = advances.some((to) => to.queueId === queueId && to.nextOffset > queueOffset);
    return this.phase === PHASE.before && isPassed ? this.end('passed over', 'by the filter of the group') : undefined;
  }

  private isHere(place: MessagePlace): boolean {
    return place.queueId === this.subject.queueId && place.queueOffset === this.subject.queueOffset;
  }

  private forgetDelivery(): void {
    this.popId = 0;
    this.attempt = 0;
    this.client = '';
    this.renewed = false;
  }

  private end(kind: TraceEventKind, detail = ''): Told {
    this.phase = kind === 'dead letter' ? PHASE.letter : PHASE.over;
    return this.told(kind, 0, detail);
  }

  private told(kind: TraceEventKind, untilLogMs: number, detail = ''): Told {
    const { attempt, client } = this;
    return { kind, attempt, client, untilLogMs, detail };
  }
}

const REASONS = { attempts: 'all attempts used up', client: 'given up by a consumer' } as const;

const ABOUT_SUBSCRIPTIONS: ReadonlySet<number> = new Set([
  RECORD_TYPE.subscriptionPut,
  RECORD_TYPE.pop,
  RECORD_TYPE.ack,
  RECORD_TYPE.changeInvisible,
  RECORD_TYPE.deadLetter,
  RECORD_TYPE.groupReset,
]);

type AboutSubscription = Extract<StateRecord, { payload: { readonly groupId: number; readonly topicId: number } }>;

function isAboutSubscription(record: StateRecord): record is AboutSubscription {
  return ABOUT_SUBSCRIPTIONS.has(record.type);
}

/** Whether a story may have to do with records of this type. */
export function isToldBy(type: number): boolean {
  return ABOUT_SUBSCRIPTIONS.has(type) || type === RECORD_TYPE.clientGone || type === RECORD_TYPE.redrive;
}
