// What clients write down, one line of JSON for each event, and how it is read. Times are milliseconds of the machine's
// monotonic clock. A message is known by its key, which is also its body: clients name a message only once it is sent.
import { linesOf } from './machine.ts';

interface Event {
  readonly atMs: number;
  /** Name of the client process. */
  readonly client: string;
}

export interface SendEvent extends Event {
  readonly event: 'send';
  /**
   * `fail` only if it is certain that nothing was stored; whatever an official client gives up on is `unknown`.
   */
  readonly state: 'invoke' | 'ok' | 'fail' | 'unknown';
  readonly topic: string;
  readonly key: string;
  readonly messageId?: string;
  /** Message group, and the number of the message in it, both as the producer gave them. */
  readonly group?: string;
  readonly sequence?: number;
  readonly text?: string;
}

export interface DeliverEvent extends Event {
  readonly event: 'deliver';
  readonly topic: string;
  readonly consumerGroup: string;
  readonly key: string;
  readonly messageId: string;
  readonly attempt: number;
}

export interface AckEvent extends Event {
  readonly event: 'ack';
  readonly state: 'invoke' | 'ok' | 'fail' | 'unknown';
  readonly topic: string;
  readonly consumerGroup: string;
  readonly key: string;
  readonly messageId: string;
  readonly attempt: number;
  readonly text?: string;
}

/** A consumer asks for the message again, before its lease runs out. */
export interface RefuseEvent extends Event {
  readonly event: 'refuse';
  readonly topic: string;
  readonly consumerGroup: string;
  readonly key: string;
}

export type HistoryEvent = SendEvent | DeliverEvent | AckEvent | RefuseEvent;

const KINDS: ReadonlySet<string> = new Set<HistoryEvent['event']>(['send', 'deliver', 'ack', 'refuse']);

/** One message of the log, read at the end by a group that nobody has used before. */
export interface StoredMessage {
  readonly topic: string;
  readonly key: string;
  readonly messageId: string;
  /** Hash of the broker set that has it. */
  readonly set: number;
}

/** In the order of time. A line that a killed client did not finish is left out. */
export function readHistories(files: readonly string[]): HistoryEvent[] {
  const events: HistoryEvent[] = [];
  for (const file of files) {
    for (const line of linesOf(file)) {
      if (!line.startsWith('{') || !line.endsWith('}')) continue;
      const event = JSON.parse(line) as HistoryEvent;
      if (KINDS.has(event.event)) events.push(event);
    }
  }
  return events.sort((one, other) => one.atMs - other.atMs);
}
