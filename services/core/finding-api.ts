// What a broker offers to find messages with, to tell what became of one, and to look after dead letters: the part of
// `BrokerApi` that people use. Every call does a bounded amount of work and says where the next one goes on.
import type { Fault, Outcome } from './errors.ts';

/** By id, by key in a topic, or by time in a topic: the first of these that is given counts. */
export interface FindQuery {
  /** Empty for none. */
  readonly messageId: string;
  /** May be empty with an id. */
  readonly topic: string;
  /** Only messages of this lite topic of the topic; empty for none. */
  readonly liteTopic: string;
  /** Empty for none. */
  readonly key: string;
  /** Stored at this time or later; 0 for the beginning. */
  readonly fromMs: number;
  /** Stored before this time; 0 for no end. */
  readonly toMs: number;
  /** Also places that a message has left: where it waited for its time or for the end of its transaction. */
  readonly withPast: boolean;
  readonly withBody: boolean;
  readonly count: number;
  /** `next` of the answer before; 0 for the beginning. */
  readonly page: number;
}

/** `waiting` for its time, `half` as long as its transaction is open, `past` when it lies elsewhere or is gone. */
export type FoundStanding = 'queued' | 'waiting' | 'half' | 'past';
export const FOUND_STANDINGS: readonly FoundStanding[] = ['queued', 'waiting', 'half', 'past'];

/** `attempts`: all were used up. `client`: a consumer gave it up. `unknown`: written by an earlier program. */
export type DeadLetterReason = 'unknown' | 'attempts' | 'client';
export const DEAD_LETTER_REASONS: readonly DeadLetterReason[] = ['unknown', 'attempts', 'client'];

/** What a dead letter says about the message that it is a copy of. */
export interface DeadLetterOrigin {
  /** Empty when the group or the topic is gone. */
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly reason: DeadLetterReason;
  /** Deliveries that failed; 0 if that is not known. */
  readonly attempts: number;
  /** When the message was stored in its own topic; 0 if that is not known. */
  readonly firstStoredAtMs: number;
  /** The group has got it again. */
  readonly redriven: boolean;
}

export interface FoundMessage {
  readonly messageId: string;
  readonly topic: string;
  readonly standing: FoundStanding;
  readonly queueId: number;
  /** -1 for a message that is in no queue. */
  readonly queueOffset: number;
  /** Of its record in the log of the set. */
  readonly position: number;
  readonly bornAtMs: number;
  readonly storedAtMs: number;
  /** 0 for "at once". */
  readonly deliverAtMs: number;
  readonly bodyBytes: number;
  readonly userPart: Uint8Array;
  readonly systemPart: Uint8Array;
  /** Empty unless it was asked for. */
  readonly body: Uint8Array;
  /** Of a half message in the past: commit, rollback or forgotten, as long as that is remembered; else empty. */
  readonly detail: string;
  readonly letter?: DeadLetterOrigin | undefined;
}

export interface FoundMessages {
  /** By id or key the newest first, by time the oldest first. */
  readonly messages: readonly FoundMessage[];
  /** For the next page, 0 when there is none. A page may be empty before the end. */
  readonly next: number;
}

export interface TraceQuery {
  readonly topic: string;
  /** The message lies in this lite topic of the topic; empty for none. */
  readonly liteTopic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** Only this group; empty for all. */
  readonly group: string;
  /** `next` of the answer before; empty for the beginning. */
  readonly page: string;
}

/**
 * Where one group stands with one message: `waiting` to be handed out for the first time, `held` by a consumer or put
 * off until a time, `due` to be handed out again, `parked` behind an earlier one of its message group, `settled`.
 */
export type TraceStanding = 'waiting' | 'held' | 'due' | 'parked' | 'settled';
export const TRACE_STANDINGS: readonly TraceStanding[] = ['waiting', 'held', 'due', 'parked', 'settled'];

export interface GroupStanding {
  readonly group: string;
  readonly standing: TraceStanding;
  /** Messages of the queue that come before it, for one that waits. */
  readonly ahead: number;
  readonly attempt: number;
  /** Wall time until which nobody else gets it; 0 for none. */
  readonly untilMs: number;
}

export type TraceEventKind =
  | 'delivered'
  | 'parked'
  | 'passed over'
  | 'dropped'
  | 'acknowledged'
  | 'put off'
  | 'given back'
  | 'client gone'
  | 'dead letter'
  | 'reset'
  | 'redriven'
  | 'group began behind it';
export const TRACE_EVENT_KINDS: readonly TraceEventKind[] = [
  'delivered',
  'parked',
  'passed over',
  'dropped',
  'acknowledged',
  'put off',
  'given back',
  'client gone',
  'dead letter',
  'reset',
  'redriven',
  'group began behind it',
];

export interface TraceEvent {
  readonly group: string;
  readonly kind: TraceEventKind;
  /** Wall time, as exact as the times of the messages around it. */
  readonly atMs: number;
  /** Of the record in the log of the set. */
  readonly position: number;
  /** Of the delivery; 0 for events that are none. */
  readonly attempt: number;
  /** Client id of the consumer, as far as it is known. */
  readonly client: string;
  /** Wall time until which nobody else gets it; 0 for none. */
  readonly untilMs: number;
  /** What more there is to say; may be empty. */
  readonly detail: string;
}

export interface MessageTrace {
  /** As they are now. */
  readonly groups: readonly GroupStanding[];
  /** In the order in which they happened. */
  readonly events: readonly TraceEvent[];
  /** For the next page; empty when the story is told. */
  readonly next: string;
}

export interface RedriveCommand {
  readonly group: string;
  /** Only letters of this message; empty for all. */
  readonly messageId: string;
  /** Only letters that became so at this time or later; 0 for the beginning. */
  readonly fromMs: number;
  /** Only letters that became so before this time; 0 for no end. */
  readonly toMs: number;
  /** Also letters that were redriven before. */
  readonly again: boolean;
  /** Say what would happen, and do nothing. */
  readonly dryRun: boolean;
  /** `next` of the answer before; 0 for the beginning. */
  readonly page: number;
}

/** `already`: not done twice unless asked. `open`: the group has it before it anyway. `gone`: it is kept no more. */
export type RedriveOutcome = 'redriven' | 'already' | 'open' | 'gone';
export const REDRIVE_OUTCOMES: readonly RedriveOutcome[] = ['redriven', 'already', 'open', 'gone'];

export interface RedriveResult {
  readonly messageId: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** Of the letter in the dead-letter topic. */
  readonly letterOffset: number;
  readonly outcome: RedriveOutcome;
}

export interface Redriven {
  readonly letters: readonly RedriveResult[];
  /** For the next page, 0 when there is none. */
  readonly next: number;
}

export interface FindingApi {
  find(query: FindQuery): Promise<Outcome<FoundMessages>>;
  trace(query: TraceQuery): Promise<Outcome<MessageTrace>>;
  /** Hands letters out once more to their own group, from where the messages lie. The same again changes nothing. */
  redrive(command: RedriveCommand): Promise<Outcome<Redriven>>;
}

/** What answers while nobody can. */
export function refusingFinding(fault: Fault): FindingApi {
  return { find: async () => ({ fault }), trace: async () => ({ fault }), redrive: async () => ({ fault }) };
}
