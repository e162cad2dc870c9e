// FindMessages, TraceMessage and the look at dead letters: asks every broker set and puts the answers together. What a
// call costs is bounded by the brokers, so that a page may be empty before the end.
import { FaultError } from '@fulmar/core/errors.ts';
import type { DeadLetterOrigin, FoundMessage, MessageTrace, RedriveResult } from '@fulmar/core/finding-api.ts';
import { checkGroupName, checkTopicName, deadLetterTopicOf, splitResourceKey } from '@fulmar/core/names.ts';
import { ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { type AdminDependencies, answerInTime, askEverySet, checkKey, PAGE_SIZE_MAX, refuse } from './admin-context.ts';
import { unwrap } from './answering.ts';
import type { UnaryHandler } from './call.ts';
import { BAD_PAGE, findEverywhere, type MessageOfSet, NOTHING_THERE, type SearchPage } from './found-everywhere.ts';
import { DONE, type Places, readPlaces, writePlaces } from './merged-pages.ts';

interface TimeRange {
  readonly fromMs?: number;
  readonly toMs?: number;
}

interface Paged {
  readonly pageSize?: number;
  readonly page?: string;
}

export interface FindRequest extends TimeRange, Paged {
  readonly messageId?: string;
  readonly topic?: string;
  readonly liteTopic?: string;
  readonly key?: string;
  readonly withPast?: boolean;
  readonly withBody?: boolean;
}

export interface MessageInfo extends Omit<FoundMessage, 'userPart' | 'systemPart' | 'body' | 'letter'> {
  readonly set: string;
  readonly letter: DeadLetterOrigin | null;
  /** An apache.rocketmq.v2.Message. */
  readonly message: Uint8Array;
}

export interface TraceRequest {
  readonly set?: string;
  readonly topic?: string;
  readonly liteTopic?: string;
  readonly queueId?: number;
  readonly queueOffset?: number;
  readonly group?: string;
  readonly page?: string;
}

interface LettersRequest extends TimeRange {
  readonly group?: string;
  readonly messageId?: string;
  readonly page?: string;
}

export interface FindingHandlers {
  readonly FindMessages: UnaryHandler<
    FindRequest,
    { readonly messages: readonly MessageInfo[]; readonly nextPage: string }
  >;
  readonly TraceMessage: UnaryHandler<
    TraceRequest,
    Pick<MessageTrace, 'groups' | 'events'> & { readonly nextPage: string }
  >;
  readonly ListDeadLetters: UnaryHandler<
    LettersRequest & Paged & { readonly withBody?: boolean },
    { readonly letters: readonly MessageInfo[]; readonly nextPage: string }
  >;
  readonly RedriveDeadLetters: UnaryHandler<
    LettersRequest & { readonly all?: boolean; readonly again?: boolean; readonly dryRun?: boolean },
    { readonly letters: readonly (RedriveResult & { readonly set: string })[]; readonly nextPage: string }
  >;
}

export function findingHandlers(dependencies: AdminDependencies): FindingHandlers {
  const { cluster } = dependencies;

  /** Throws if no set knows the group. */
  async function requireGroup(group: string): Promise<void> {
    checkKey(group, checkGroupName);
    const answers = await askEverySet(dependencies, (broker) => broker.ensureGroup(group, false));
    if (answers.some(({ answer }) => answer.fault === undefined)) return;
    unwrap(answers[0]!.answer);
  }

  return {
    async FindMessages(_call, request) {
      const { messageId = '', topic = '', liteTopic = '', key = '', fromMs = 0, toMs = 0 } = request;
      const { withPast = false, withBody = false } = request;
      if (topic !== '') checkTopicKey(topic);
      else if (messageId === '') refuse('BAD_REQUEST', 'Name a message id, or a topic with a key or a time.');
      checkRange(fromMs, toMs);
      const query = { messageId, topic, liteTopic, key, fromMs, toMs, withPast, withBody };
      const { messages, nextPage, missing } = await findEverywhere(dependencies, query, pageIn(request));
      if (missing !== undefined) throw new FaultError(missing);
      return { messages: messages.map(infoOf), nextPage };
    },

    async TraceMessage(_call, request) {
      const { set = '', topic = '', liteTopic = '', queueId = 0, queueOffset = 0, group = '', page = '' } = request;
      checkTopicKey(topic);
      const broker = cluster.broker(set);
      if (broker === undefined) {
        refuse('NOT_FOUND', 'There is no broker set of that name with a master. See fulmar broker list.');
      }
      const query = { topic, liteTopic, queueId, queueOffset, group, page };
      const { groups, events, next } = unwrap(await answerInTime(dependencies, set, () => broker.finding.trace(query)));
      return { groups, events, nextPage: next };
    },

    async ListDeadLetters(_call, request) {
      const { group = '', messageId = '', fromMs = 0, toMs = 0, withBody = false } = request;
      await requireGroup(group);
      checkRange(fromMs, toMs);
      const topic = deadLetterTopicOf(group);
      const query = { messageId, topic, liteTopic: '', key: '', fromMs, toMs, withPast: false, withBody };
      const { messages, nextPage } = await findEverywhere(dependencies, query, pageIn(request));
      return { letters: messages.map(infoOf), nextPage };
    },

    async RedriveDeadLetters(_call, request) {
      const { group = '', messageId = '', fromMs = 0, toMs = 0, again = false, dryRun = false, page = '' } = request;
      await requireGroup(group);
      checkRange(fromMs, toMs);
      if (messageId === '' && fromMs === 0 && toMs === 0 && request.all !== true) {
        refuse('BAD_REQUEST', 'Say which letters: a message id, a time, or all of them.');
      }
      const places = readPlaces(page) ?? refuse('BAD_REQUEST', BAD_PAGE);
      const sets = cluster.brokers();
      // One set after the other, so that what was done is told whatever becomes of the next.
      const next = sets.find(({ set }) => places.get(set) !== DONE);
      if (next === undefined) return { letters: [], nextPage: '' };
      const command = { group, messageId, fromMs, toMs, again, dryRun, page: places.get(next.set) ?? 0 };
      const answer = await answerInTime(dependencies, next.set, () => next.api.finding.redrive(command));
      const isNothing = answer.fault !== undefined && NOTHING_THERE.has(answer.fault.error);
      const redriven = isNothing ? { letters: [], next: 0 } : unwrap(answer);
      const onward: Places = new Map(places).set(next.set, redriven.next || DONE);
      const letters = redriven.letters.map((letter) => ({ set: next.set, ...letter }));
      return {
        letters,
        nextPage: writePlaces(
          onward,
          sets.map(({ set }) => set),
        ),
      };
    },
  };
}

function pageIn({ pageSize = 0, page = '' }: Paged): SearchPage {
  return { count: pageSize <= 0 || pageSize > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : pageSize, page };
}

/** Also the topics that the system makes have messages to be found. */
function checkTopicKey(topic: string): void {
  if (splitResourceKey(topic).name === '') refuse('BAD_REQUEST', 'The request names no topic. Name one.');
  checkKey(topic, checkTopicName);
}

function checkRange(fromMs: number, toMs: number): void {
  const isRange = fromMs >= 0 && toMs >= 0 && (toMs === 0 || fromMs < toMs);
  if (!isRange) refuse('BAD_REQUEST', 'The time range ends before it begins. Give a later end.');
}

function infoOf({ userPart, systemPart, body, letter, ...facts }: MessageOfSet): MessageInfo {
  const message = new ProtobufWriter(64 + userPart.length + systemPart.length + body.length)
    .raw(userPart)
    .content(3, systemPart)
    .content(4, body)
    .finish();
  return { ...facts, letter: letter ?? null, message };
}
