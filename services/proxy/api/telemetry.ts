// Telemetry: the stream on which a client gives its settings and gets them back, completed by the server. The first
// answer leaves in the turn in which the settings came, if anything is known of the group, because some clients wait
// for it with little patience. No write is ever waited for, and a client that does not read loses commands, not our
// memory.
import { ERRORS, type Fault, fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { HalfMessage } from '@fulmar/core/transaction-api.ts';
import { COLLEAGUE_MS } from '../clients/colleagues.ts';
import type { Session } from '../clients/sessions.ts';
import { clientTypeOf, consumerSettings, DEFAULT_GROUP, producerSettings } from '../clients/settings.ts';
import { logFault } from './answering.ts';
import type { CallContext, TelemetryHandler, TelemetryPort } from './call.ts';
import { recoverCommand } from './codec/recover-command.ts';
import type { ProxyContext } from './context.ts';
import { type GroupAsTold, sameToClients } from './groups.ts';
import type { NotifyLoss } from './lite.ts';
import { CLIENT_TYPE, isConsumerType, isLiteConsumerType, type Settings, type TelemetryCommand } from './messages.ts';
import { checkClientId, type Requester, requesterOf } from './requester.ts';
import { groupKeyOf, topicKeyOf } from './resources.ts';
import { STATUS_OK, statusOf } from './status.ts';

/** The longest that a first answer waits for a broker to describe the group. */
const GROUP_WAIT_MS = 30;
/** Node misses the first answer when it starts with several topics; a second one comes when it is ready. */
const SECOND_PUSH_MS = 1_500;
/** Clients end their streams right after their goodbye. */
const GOODBYE_MS = 5_000;
const INVALID_ARGUMENT = 3;
const UNAVAILABLE = 14;

interface Stream {
  readonly requester: Requester;
  readonly port: TelemetryPort<TelemetryCommand>;
  /** The client's newest settings; undefined before the first. */
  settings: Settings | undefined;
  session: Session | undefined;
  groupKey: string;
  /** What the client was last told of its group. */
  told: GroupAsTold | undefined;
  /** Number of the newest settings, so that a late answer to older ones is dropped. */
  round: number;
  hasPending: boolean;
  hasEnded: boolean;
  isClosed: boolean;
  /** Called when the client says goodbye. */
  readonly dismiss: () => void;
}

export interface Telemetry {
  readonly handler: TelemetryHandler<TelemetryCommand>;
  /** Ends all streams because this proxy stops; clients open new ones elsewhere. */
  endAll(): void;
  /** Keys of the topics that have a producer with an open stream here. */
  publishedTopics(): Iterable<string>;
  /** Puts the question to a producer of the topic, another one each time; false if nobody can be asked. */
  askProducer(half: HalfMessage): boolean;
  /** Writes to the newest stream of a client; false if it has none here, or reads too little. */
  command(clientId: string, command: TelemetryCommand): boolean;
  /** The listener hears what clients answer to commands. */
  onAnswer(listener: (clientId: string, command: TelemetryCommand) => void): void;
  /** The newest settings of the consumers of a group that have an open stream here, by client id. */
  settingsOf(groupKey: string): ReadonlyMap<string, Settings>;
  /** Tells a consumer that has a stream here that another one reads the lite topic in its place. */
  readonly notifyLoss: NotifyLoss;
}

export function telemetry(context: ProxyContext): Telemetry {
  const streams = new Set<Stream>();
  const streamsByGroup = new Map<string, Set<Stream>>();
  const answerListeners: ((clientId: string, command: TelemetryCommand) => void)[] = [];

  context.groups.onNews((group) => {
    for (const stream of streamsByGroup.get(group.name) ?? []) {
      if (stream.told !== undefined && !sameToClients(stream.told, group)) tell(context, stream, group);
    }
  });

  function join(stream: Stream, groupKey: string): void {
    if (stream.groupKey === groupKey) return;
    leave(stream);
    stream.groupKey = groupKey;
    stream.told = undefined;
    if (groupKey === '') return;
    const ofGroup = streamsByGroup.get(groupKey);
    if (ofGroup === undefined) streamsByGroup.set(groupKey, new Set([stream]));
    else ofGroup.add(stream);
  }

  function leave(stream: Stream): void {
    const ofGroup = streamsByGroup.get(stream.groupKey);
    ofGroup?.delete(stream);
    if (ofGroup?.size === 0) streamsByGroup.delete(stream.groupKey);
    stream.groupKey = '';
  }

  const handler = (call: CallContext, port: TelemetryPort<TelemetryCommand>): void => {
    const stream: Stream = {
      requester: requesterOf(call),
      port,
      settings: undefined,
      session: undefined,
      groupKey: '',
      told: undefined,
      round: 0,
      hasPending: false,
      hasEnded: false,
      isClosed: false,
      dismiss: () => endAfterGoodbye(context, stream),
    };
    streams.add(stream);
    port.sendHeaders();
    port.onClose(() => {
      stream.isClosed = true;
      streams.delete(stream);
      leave(stream);
      if (stream.session === undefined) return;
      stream.session.dismissStreams.delete(stream.dismiss);
      stream.session.lastHeardMs = context.clock.monotonicMs();
      // A client that leaves ends its stream first.
      if (!stream.hasEnded) context.sessions.broke(stream.session);
    });
    port.onEnd(() => finish(stream));
    port.onMessage((command) => {
      if (stream.isClosed) return;
      context.sessions.heard(stream.requester.clientId);
      if (command.settings) takeSettings(context, stream, command.settings, join);
      else for (const listener of answerListeners) listener(stream.requester.clientId, command);
    });
  };

  /** The newest stream of every producer that could be asked something, by client id. */
  function* listening(): Iterable<{ readonly stream: Stream; readonly session: Session }> {
    for (const stream of streams) {
      const { session, port } = stream;
      if (session === undefined || session.published.size === 0 || stream.isClosed || stream.hasEnded) continue;
      if (port.waitingMessages() < LIMITS.telemetryBufferedCommands) yield { stream, session };
    }
  }

  function askProducer(half: HalfMessage): boolean {
    const { topic, producer, checks } = half.transaction;
    const producers = new Map<string, { readonly stream: Stream; readonly session: Session }>();
    for (const each of listening()) if (each.session.published.has(topic)) producers.set(each.session.clientId, each);
    // The one that sent it knows best, then those that deal in transactions; but some never answer.
    const rank = ({ session }: { readonly session: Session }): number =>
      session.clientId === producer ? 0 : session.published.get(topic)!.isTransactional ? 1 : 2;
    const inOrder = [...producers.values()].sort((a, b) => rank(a) - rank(b));
    const chosen = inOrder[checks % inOrder.length];
    if (chosen === undefined) return false;
    return chosen.stream.port.write(recoverCommand(chosen.session.published.get(topic)!.resource, half));
  }

  function command(clientId: string, of: TelemetryCommand): boolean {
    let newest: Stream | undefined;
    for (const stream of streams) {
      const isHis = stream.requester.clientId === clientId && stream.settings !== undefined;
      if (isHis && !stream.isClosed && !stream.hasEnded) newest = stream;
    }
    if (newest === undefined || newest.port.waitingMessages() >= LIMITS.telemetryBufferedCommands) return false;
    return newest.port.write(of);
  }

  function notifyLoss(clientId: string, liteTopic: string): void {
    for (const { session, port, isClosed, hasEnded } of streams) {
      if (session?.clientId !== clientId || isClosed || hasEnded) continue;
      if (port.waitingMessages() >= LIMITS.telemetryBufferedCommands) {
        context.observer.count('fulmar_telemetry_commands_dropped_total', {}, 1);
      } else port.write({ notifyUnsubscribeLiteCommand: { liteTopic } });
    }
  }

  return {
    handler,
    askProducer,
    command,
    onAnswer: (listener) => {
      answerListeners.push(listener);
    },
    settingsOf(groupKey) {
      const found = new Map<string, Settings>();
      for (const { requester, settings } of streamsByGroup.get(groupKey) ?? []) {
        if (settings !== undefined) found.set(requester.clientId, settings);
      }
      return found;
    },
    notifyLoss,
    publishedTopics() {
      const topics = new Set<string>();
      for (const { session } of listening()) for (const topic of session.published.keys()) topics.add(topic);
      return topics;
    },
    endAll() {
      for (const { port } of [...streams]) port.fail(UNAVAILABLE, 'This proxy stops. Connect to another one.');
    },
  };
}

/**
 * A client for Java whose connection broke within the second before its goodbye opens its stream anew after it, and its
 * `close` waits for the end of that stream, which it will not bring about.
 */
function endAfterGoodbye({ timers }: ProxyContext, stream: Stream): void {
  timers.after(GOODBYE_MS, () => {
    if (!stream.isClosed && !stream.hasEnded) finish(stream);
  });
}

/** After the answer that is on its way. */
function finish(stream: Stream): void {
  stream.hasEnded = true;
  if (!stream.hasPending) stream.port.end();
}

function takeSettings(
  context: ProxyContext,
  stream: Stream,
  settings: Settings,
  join: (stream: Stream, groupKey: string) => void,
): void {
  const { requester } = stream;
  const isFirst = stream.settings === undefined;
  const { value, fault: found } = judge(requester, settings);
  if (found !== undefined) {
    refuse(context, stream, found);
    return;
  }
  stream.settings = settings;
  stream.round++;
  if (!attach(context, stream, value)) return;
  join(stream, value.groupKey);
  if (value.groupKey === '') tell(context, stream, undefined);
  else answerConsumer(context, stream, value);
  if (isFirst && requester.language === 'HTTP') {
    context.timers.after(SECOND_PUSH_MS, () => {
      if (!stream.isClosed && !stream.hasEnded) tell(context, stream, stream.told);
    });
  }
}

interface Judgement {
  readonly clientType: number;
  /** Empty for producers. */
  readonly groupKey: string;
  /** The LITE topic of a lite consumer. */
  readonly liteTopic?: string | undefined;
}

function judge(requester: Requester, settings: Settings): Outcome<Judgement> {
  const idFault = checkClientId(requester.clientId);
  if (idFault !== undefined) return { fault: idFault };
  if (JSON.stringify(settings).length > LIMITS.telemetrySettingsBytes) {
    return {
      fault: fault('BAD_REQUEST', `The settings have more than ${LIMITS.telemetrySettingsBytes} bytes. Send less.`),
    };
  }
  const clientType = clientTypeOf(settings);
  if (clientType === CLIENT_TYPE.producer) return success({ clientType, groupKey: '' });
  if (!isConsumerType(clientType)) {
    return {
      fault: fault('UNRECOGNIZED_CLIENT_TYPE', 'The settings name no known type of client. Set client_type.'),
    };
  }
  if ((settings.subscription?.subscriptions?.length ?? 0) > LIMITS.subscriptionsPerClient) {
    return {
      fault: fault(
        'BAD_REQUEST',
        `A client may have ${LIMITS.subscriptionsPerClient} subscriptions. Use more clients.`,
      ),
    };
  }
  const group = groupKeyOf(requester, settings.subscription?.group);
  if (group.fault !== undefined) return { fault: group.fault };
  const bound = isLiteConsumerType(clientType) ? settings.subscription?.subscriptions?.[0]?.topic : undefined;
  const liteTopic = bound == null ? undefined : topicKeyOf(requester, bound).value;
  return success({ clientType, groupKey: group.value, liteTopic });
}

/** Ties the stream to the session of its client; false when there is no room for one more. */
function attach(context: ProxyContext, stream: Stream, { clientType, groupKey }: Judgement): boolean {
  const session = context.sessions.open(stream.requester);
  if (session === undefined) {
    refuse(
      context,
      stream,
      fault('TOO_MANY_REQUESTS', 'This proxy has as many clients as it can take. Connect to another one, or wait.'),
    );
    return false;
  }
  // After a goodbye or a long silence the same client has a new session.
  if (stream.session !== session) {
    stream.session = session;
    session.dismissStreams.add(stream.dismiss);
    if (context.sessions.hasJustLeft(session.clientId)) stream.dismiss();
  }
  session.clientType = clientType;
  session.group = groupKey;
  if (clientType === CLIENT_TYPE.producer) {
    notePublishing(context, session, stream);
    void learnPublishing(context, session);
  }
  return true;
}

/** What another worker has seen this producer send. */
async function learnPublishing(context: ProxyContext, session: Session): Promise<void> {
  const told = await context.colleagues.ask('published', session.clientId, COLLEAGUE_MS);
  for (const [topic, of] of told.flat()) context.sessions.publishes(session, topic, of);
}

function notePublishing(context: ProxyContext, session: Session, { settings, requester }: Stream): void {
  for (const resource of settings?.publishing?.topics ?? []) {
    const topic = topicKeyOf(requester, resource);
    if (topic.value === undefined) continue;
    context.sessions.publishes(session, topic.value, { resource, isTransactional: false });
  }
}

function answerConsumer(context: ProxyContext, stream: Stream, { groupKey, liteTopic }: Judgement): void {
  const known = context.groups.peek(groupKey);
  if (known !== undefined) {
    tell(context, stream, known);
    return;
  }
  const { round } = stream;
  stream.hasPending = true;
  const answer = (group: GroupAsTold): void => {
    if (stream.isClosed || stream.round !== round) return;
    stream.hasPending = false;
    tell(context, stream, group);
    if (stream.hasEnded) stream.port.end();
  };
  const timer = context.timers.after(GROUP_WAIT_MS, () => answer(DEFAULT_GROUP));
  void context.groups.ensure(groupKey, liteTopic).then(({ value, fault: found }) => {
    timer.cancel();
    if (stream.isClosed || stream.round !== round) return;
    if (found?.error === 'CONSUMER_GROUP_NOT_FOUND') refuse(context, stream, found);
    else if (stream.hasPending) answer(value ?? DEFAULT_GROUP);
  });
}

function tell(context: ProxyContext, stream: Stream, group: GroupAsTold | undefined): void {
  const { settings, requester, port } = stream;
  if (settings === undefined) return;
  stream.told = group;
  if (port.waitingMessages() >= LIMITS.telemetryBufferedCommands) {
    context.observer.count('fulmar_telemetry_commands_dropped_total', {}, 1);
    return;
  }
  port.write({
    status: STATUS_OK,
    settings: group === undefined ? producerSettings(settings) : consumerSettings(settings, group, requester.language),
  });
}

/** Says why, for clients that read it, and ends the stream, for those that do not. */
function refuse(context: ProxyContext, stream: Stream, found: Fault): void {
  logFault(context, 'Telemetry', found, stream.requester);
  stream.port.write({ status: statusOf(found, stream.requester.language) });
  const isOverload = found.error === 'TOO_MANY_REQUESTS';
  stream.port.fail(isOverload ? ERRORS[found.error].grpc : INVALID_ARGUMENT, found.message);
}
