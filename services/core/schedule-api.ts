// What a broker offers for recurring messages: a schedule is a message, a topic and a cron expression, kept by one
// broker set, which sends the message anew at each of its times. A part of `BrokerApi`.
import type { Fault, Outcome } from './errors.ts';

/** The message that is sent each time; what belongs to one sending, such as its id, is added then. */
export interface ScheduledMessage {
  /** Normal or FIFO. */
  readonly type: number;
  /** Empty for none. */
  readonly tag: string;
  readonly keys: readonly string[];
  /** Empty for none. */
  readonly messageGroup: string;
  readonly userPart: Uint8Array;
  /** Without message id and times. */
  readonly systemPart: Uint8Array;
  readonly body: Uint8Array;
}

export interface ScheduleRequest {
  readonly name: string;
  readonly topic: string;
  readonly cron: string;
  /** Of the IANA database, or UTC. */
  readonly timeZone: string;
  readonly message: ScheduledMessage;
}

export interface ScheduleDescription extends ScheduleRequest {
  readonly paused: boolean;
  readonly createdAtMs: number;
  /** The next time; while it is paused, the one that it would have had. */
  readonly nextAtMs: number;
  /** The last time for which a message was sent; 0 for none. */
  readonly lastAtMs: number;
  /** Messages sent so far. */
  readonly sent: number;
}

export interface ScheduleApi {
  /** The same again is no error; another one of the same name is PRECONDITION_FAILED. */
  create(request: ScheduleRequest): Promise<Outcome<ScheduleDescription>>;
  /** Nothing is sent while it is paused, and what was missed then is never sent. */
  setPaused(name: string, paused: boolean): Promise<Outcome<ScheduleDescription>>;
  delete(name: string): Promise<Fault | undefined>;
  /** By name. */
  list(): Promise<Outcome<readonly ScheduleDescription[]>>;
}

/** What answers while nobody can. */
export function refusingSchedules(fault: Fault): ScheduleApi {
  return {
    create: async () => ({ fault }),
    setPaused: async () => ({ fault }),
    delete: async () => fault,
    list: async () => ({ fault }),
  };
}
