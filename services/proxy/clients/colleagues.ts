// What the workers of one proxy ask and tell each other, so that people and clients see one proxy. All of it concerns
// administration, and clients that have connections at two workers; no message that is sent or received passes here.
import type { Outcome } from '@fulmar/core/errors.ts';
import type { TelemetryCommand } from '../api/messages.ts';
import type { ClientView, Selection } from './roster.ts';
import type { PublishedTopic } from './sessions.ts';

export interface Load {
  /** Messages a second. */
  readonly stored: number;
  readonly delivered: number;
  readonly connections: number;
}

/** For each kind what is asked, and what each of the others answers. */
export type WorkerDialogue = {
  readonly clients: { readonly question: Selection; readonly answer: readonly ClientView[] };
  readonly load: { readonly question: null; readonly answer: Load };
  /** A question to a client that has its Telemetry stream there; null if it has none. */
  readonly client: {
    readonly question: { readonly clientId: string; readonly nonce: string; readonly command: TelemetryCommand };
    readonly answer: Outcome<TelemetryCommand> | null;
  };
  /** What the client is known to publish there; asked when it opens a Telemetry stream. */
  readonly published: {
    readonly question: string;
    readonly answer: readonly (readonly [topic: string, of: PublishedTopic])[];
  };
  /** News, to which nothing is answered: the client has sent a half message to a topic for the first time. */
  readonly publishes: {
    readonly question: { readonly clientId: string; readonly topic: string; readonly of: PublishedTopic };
    readonly answer: null;
  };
  /** The client said goodbye. */
  readonly goodbye: { readonly question: string; readonly answer: null };
  /** Another consumer reads the lite topic in place of this client. */
  readonly lostLite: {
    readonly question: { readonly clientId: string; readonly liteTopic: string };
    readonly answer: null;
  };
  readonly groupChanged: { readonly question: string; readonly answer: null };
  readonly logLevel: { readonly question: 'debug' | 'info' | 'warn' | 'error'; readonly answer: null };
  /** Asked by the parent. */
  readonly metrics: { readonly question: null; readonly answer: string };
};

export type Kind = keyof WorkerDialogue;
type Question<K extends Kind> = WorkerDialogue[K]['question'];
type Answer<K extends Kind> = WorkerDialogue[K]['answer'];

/** How a worker answers. */
export type Answering = { readonly [K in Kind]: (question: Question<K>) => Answer<K> | Promise<Answer<K>> };

/** The other workers of this proxy. */
export interface Colleagues {
  /** What those say that answer in time; never rejects. */
  ask<K extends Kind>(kind: K, question: Question<K>, withinMs: number): Promise<readonly Answer<K>[]>;
}

/** Of a proxy that is one process. */
export const NO_COLLEAGUES: Colleagues = { ask: async () => [] };

/** How long the others may take for what they know or do at once. */
export const COLLEAGUE_MS = 2_000;
