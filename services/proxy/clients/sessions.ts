// The clients that use this proxy at the moment. A session is opened by whatever a client calls first and ends by its
// goodbye or by silence; it promises nothing beyond memory, because a client that nobody remembers is served all the
// same.
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Clock } from '@fulmar/core/ports.ts';
import type { AddressChoice } from '../api/endpoints.ts';
import type { Joined } from '../api/join.ts';
import { CLIENT_TYPE, isConsumerType, type Resource } from '../api/messages.ts';
import type { Requester } from '../api/requester.ts';

/**
 * A client that is killed is silent from one heartbeat on (every 10 s; Rust every 30 s). With the sweep, the report to
 * the brokers and their second of grace its messages are back within 60 s.
 */
const SILENCE_MS = 45_000;
const SILENCE_RUST_MS = 120_000;
/**
 * A client whose connection broke comes back within this time or has died: the queues that belong to it go to others.
 */
const BACK_WITHIN_MS = 5_000;
/** What a connection that has broken still leads to here. */
const ECHO_MS = 1_000;
/** An answer that left so long before its connection broke has arrived, or the connection would have broken earlier. */
const DOUBT_MS = 30_000;
/** What a client still does after its goodbye it does within this time: one for Java opens a stream anew after 1 s. */
const AFTER_GOODBYE_MS = 10_000;

export interface PublishedTopic {
  /** As the client wrote it. */
  readonly resource: Resource;
  /** It has sent a half message: it knows how to answer for one. */
  readonly isTransactional: boolean;
}

export interface Session {
  readonly clientId: string;
  readonly language: string;
  readonly version: string;
  readonly peer: string;
  clientType: number;
  /** Key of the consumer group; empty for producers and while unknown. */
  group: string;
  /** The access point that the client named in its newest route query. */
  accessPoint: AddressChoice | undefined;
  /** Topics that it publishes, by their keys, as far as it has said so or shown it. */
  readonly published: Map<string, PublishedTopic>;
  lastHeardMs: number;
  /** When messages that it holds for as long as it is online last left for it. */
  lastAnsweredMs: number;
  /** One for each open Telemetry stream; calling it tells the stream that the client said goodbye. */
  readonly dismissStreams: Set<() => void>;
  /** By group and topic of a group that is not shared: what each broker set said when the client joined there. */
  readonly joined: Map<string, Joined>;
  /** When its connection broke, unless it is known what came of it. */
  brokeAtMs: number | undefined;
  /** Silent since its connection broke, and brokers have been told. */
  isLost: boolean;
  /** One for each receive that waits; calling it ends the wait with an empty answer. */
  readonly endPolls: Set<() => void>;
}

export interface Sessions {
  get(clientId: string): Session | undefined;
  /** The session of this client, opened if there is none; undefined without a client id or when there are too many. */
  open(requester: Requester): Session | undefined;
  /**
   * The client publishes a topic. When it has too many its oldest is forgotten; when all clients together have too many
   * this one is not noted, so that the client is not asked about transactions of that topic.
   */
  publishes(session: Session, topic: string, of: PublishedTopic): void;
  /** Notes a sign of life of a client that has a session. */
  heard(clientId: string): void;
  /** The client said goodbye. */
  close(clientId: string): void;
  /** Whether the client said goodbye a moment ago, and what comes of it now is an afterthought. */
  hasJustLeft(clientId: string): boolean;
  /** Ends the sessions of clients that have been silent for too long. */
  sweep(): void;
  all(): IterableIterator<Session>;
  /**
   * Consumers that are here for certain: a client that has moved to another proxy is no longer among them well before
   * this proxy says that it has gone, so that brokers can tell whose word is newer.
   */
  online(): string[];
  /** The connection of the client broke. */
  broke(session: Session): void;
  /** The listener hears of every consumer that is no longer online. */
  onGone(listener: (clientId: string) => void): void;
  /** The listener hears of every consumer whose connection broke so soon after an answer that it may be lost. */
  onDoubt(listener: (clientId: string) => void): void;
  /** The listener hears of every consumer whose connection broke and that did not come back within some seconds. */
  onLost(listener: (clientId: string) => void): void;
}

function silenceMsOf({ language }: Session): number {
  return language === 'RUST' ? SILENCE_RUST_MS : SILENCE_MS;
}

function isHeld({ dismissStreams, endPolls }: Session): boolean {
  return dismissStreams.size > 0 || endPolls.size > 0;
}

export function isConsumer(session: Session): boolean {
  return isConsumerType(session.clientType);
}

export function createSessions(
  clock: Clock,
  sessionsMax: number = LIMITS.clientSessions,
  publishedMax: number = LIMITS.publishedTopics,
): Sessions {
  let published = 0;
  const sessions = new Map<string, Session>();
  /** Client id -> when it said goodbye, the oldest first. */
  const goodbyes = new Map<string, number>();
  const listeners: ((clientId: string) => void)[] = [];
  const doubtListeners: ((clientId: string) => void)[] = [];
  const lostListeners: ((clientId: string) => void)[] = [];

  function end(session: Session): void {
    sessions.delete(session.clientId);
    published -= session.published.size;
    for (const endPoll of [...session.endPolls]) endPoll();
    if (isConsumer(session)) for (const listener of listeners) listener(session.clientId);
  }

  function hasJustLeft(clientId: string): boolean {
    return clock.monotonicMs() - (goodbyes.get(clientId) ?? Number.NEGATIVE_INFINITY) < AFTER_GOODBYE_MS;
  }

  function noteGoodbye(clientId: string): void {
    goodbyes.delete(clientId);
    goodbyes.set(clientId, clock.monotonicMs());
    for (const oldest of goodbyes.keys()) {
      if (goodbyes.size <= sessionsMax && hasJustLeft(oldest)) break;
      goodbyes.delete(oldest);
    }
  }

  function sweep(): void {
    const nowMs = clock.monotonicMs();
    for (const session of [...sessions.values()]) {
      if (isHeld(session) || session.lastHeardMs - (session.brokeAtMs ?? nowMs) > ECHO_MS) {
        session.brokeAtMs = undefined;
        session.isLost = false;
      }
      if (isHeld(session)) continue;
      if (nowMs - session.lastHeardMs >= silenceMsOf(session)) end(session);
      else if (session.brokeAtMs !== undefined && nowMs - session.brokeAtMs >= BACK_WITHIN_MS) lose(session);
    }
  }

  function lose(session: Session): void {
    if (session.isLost) return;
    session.isLost = true;
    if (isConsumer(session)) for (const listener of lostListeners) listener(session.clientId);
  }

  function open({ clientId, language, version, peer }: Requester): Session | undefined {
    const known = sessions.get(clientId);
    if (known !== undefined) {
      known.lastHeardMs = clock.monotonicMs();
      return known;
    }
    if (clientId === '' || clientId.length > LIMITS.clientIdLength || sessions.size >= sessionsMax) {
      return undefined;
    }
    const session: Session = {
      clientId,
      language,
      version,
      peer,
      clientType: CLIENT_TYPE.unspecified,
      group: '',
      accessPoint: undefined,
      published: new Map(),
      lastHeardMs: clock.monotonicMs(),
      lastAnsweredMs: Number.NEGATIVE_INFINITY,
      dismissStreams: new Set(),
      joined: new Map(),
      brokeAtMs: undefined,
      isLost: false,
      endPolls: new Set(),
    };
    sessions.set(clientId, session);
    return session;
  }

  function publishes(session: Session, topic: string, { resource, isTransactional }: PublishedTopic): void {
    const own = session.published;
    const known = own.get(topic);
    const isOver = sessions.get(session.clientId) !== session;
    if (isOver || (known === undefined && published >= publishedMax)) return;
    own.set(topic, { resource, isTransactional: isTransactional || known?.isTransactional === true });
    if (known !== undefined) return;
    if (own.size > LIMITS.publishedTopicsPerClient) own.delete(own.keys().next().value!);
    else published++;
  }

  return {
    get: (clientId) => sessions.get(clientId),
    open,
    publishes,
    heard(clientId) {
      const session = sessions.get(clientId);
      if (session !== undefined) session.lastHeardMs = clock.monotonicMs();
    },
    close(clientId) {
      if (clientId === '' || clientId.length > LIMITS.clientIdLength) return;
      noteGoodbye(clientId);
      const session = sessions.get(clientId);
      if (session === undefined) return;
      for (const dismissStream of session.dismissStreams) dismissStream();
      end(session);
    },
    hasJustLeft,
    sweep,
    all: () => sessions.values(),
    online() {
      const nowMs = clock.monotonicMs();
      const online: string[] = [];
      for (const session of sessions.values()) {
        const isHeard = !session.isLost && nowMs - session.lastHeardMs < silenceMsOf(session) / 2;
        const isHere = isHeld(session) || isHeard;
        if (isHere && isConsumer(session)) online.push(session.clientId);
      }
      return online;
    },
    broke(session) {
      const { clientId, lastAnsweredMs } = session;
      session.brokeAtMs = clock.monotonicMs();
      if (clock.monotonicMs() - lastAnsweredMs > DOUBT_MS) return;
      for (const listener of doubtListeners) listener(clientId);
    },
    onGone: (listener) => {
      listeners.push(listener);
    },
    onDoubt: (listener) => {
      doubtListeners.push(listener);
    },
    onLost: (listener) => {
      lostListeners.push(listener);
    },
  };
}
