// The messaging service of the proxy: every RPC of apache.rocketmq.v2.MessagingService by its name, over transports
// that the caller brings. `raw` methods take and give the bytes of their messages, `plain` ones objects in the shape of
// `messages.ts`.
import { createChecker } from '../clients/checker.ts';
import { type Answering, COLLEAGUE_MS, NO_COLLEAGUES } from '../clients/colleagues.ts';
import { createReporter } from '../clients/reporter.ts';
import { createRoster, type Roster } from '../clients/roster.ts';
import { createSessions, type Session } from '../clients/sessions.ts';
import type { RawUnaryHandler, StreamHandler, TelemetryHandler, UnaryHandler } from './call.ts';
import { createClientQuestions } from './client-questions.ts';
import type { ProxyContext } from './context.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { createAddressing } from './endpoints.ts';
import { createGroups } from './groups.ts';
import { type NotifyLoss, syncLiteSubscription } from './lite.ts';
import type {
  EndTransactionRequest,
  ForwardMessageToDeadLetterQueueRequest,
  GetOffsetRequest,
  HeartbeatRequest,
  NotifyClientTerminationRequest,
  OffsetResponse,
  QueryAssignmentRequest,
  QueryAssignmentResponse,
  QueryOffsetRequest,
  QueryRouteRequest,
  QueryRouteResponse,
  RecallMessageRequest,
  RecallMessageResponse,
  StatusResponse,
  SyncLiteSubscriptionRequest,
  TelemetryCommand,
  UpdateOffsetRequest,
} from './messages.ts';
import type { OfficialParts } from './official/context.ts';
import { getOffset, queryOffset, updateOffset } from './offsets.ts';
import { heartbeat, notifyClientTermination } from './presence.ts';
import { pullMessage } from './pull.ts';
import { recallMessage } from './recall.ts';
import { receiveMessage } from './receive.ts';
import { queryAssignment, queryRoute } from './route.ts';
import { sendMessage } from './send.ts';
import { ackMessage, changeInvisibleDuration, forwardMessageToDeadLetterQueue } from './settle.ts';
import { telemetry } from './telemetry.ts';
import { createTopics } from './topics.ts';
import { createTraffic } from './traffic.ts';
import { endTransaction } from './transactions.ts';

export interface MessagingHandlers {
  /** Bytes in, bytes out. */
  readonly raw: {
    readonly SendMessage: RawUnaryHandler;
    readonly AckMessage: RawUnaryHandler;
    readonly ChangeInvisibleDuration: RawUnaryHandler;
  };
  /** Bytes in, a stream of bytes out. */
  readonly rawStream: {
    readonly ReceiveMessage: StreamHandler<Buffer, Buffer>;
    readonly PullMessage: StreamHandler<Buffer, Buffer>;
  };
  readonly plain: {
    readonly QueryRoute: UnaryHandler<QueryRouteRequest, QueryRouteResponse>;
    readonly QueryAssignment: UnaryHandler<QueryAssignmentRequest, QueryAssignmentResponse>;
    readonly Heartbeat: UnaryHandler<HeartbeatRequest, StatusResponse>;
    readonly NotifyClientTermination: UnaryHandler<NotifyClientTerminationRequest, StatusResponse>;
    readonly ForwardMessageToDeadLetterQueue: UnaryHandler<ForwardMessageToDeadLetterQueueRequest, StatusResponse>;
    readonly UpdateOffset: UnaryHandler<UpdateOffsetRequest, StatusResponse>;
    readonly GetOffset: UnaryHandler<GetOffsetRequest, OffsetResponse>;
    readonly QueryOffset: UnaryHandler<QueryOffsetRequest, OffsetResponse>;
    readonly EndTransaction: UnaryHandler<EndTransactionRequest, StatusResponse>;
    readonly RecallMessage: UnaryHandler<RecallMessageRequest, RecallMessageResponse>;
    readonly SyncLiteSubscription: UnaryHandler<SyncLiteSubscriptionRequest, StatusResponse>;
  };
  readonly duplex: {
    readonly Telemetry: TelemetryHandler<TelemetryCommand>;
  };
}

export interface MessagingService {
  readonly handlers: MessagingHandlers;
  /** The clients that use this process, for metrics. */
  clients(): IterableIterator<Session>;
  /** Those of all workers, for administration. */
  readonly roster: Roster;
  /** Makes the clients of a group hear at once of a change that an administrator has made. */
  groupChanged(group: string): void;
  /** What the official admin service stands on. */
  readonly official: Pick<OfficialParts, 'context' | 'roster' | 'questions'>;
  /** What this worker answers the others, but for what only its process knows. */
  readonly forColleagues: Omit<Answering, 'load' | 'logLevel' | 'metrics'>;
  /** Messages a second through this process. */
  rates(): { readonly stored: number; readonly delivered: number };
  /** Begins to tell brokers who is online, and to ask producers about their transactions. */
  start(): void;
  /** Ends the open polls with empty answers and the Telemetry streams with UNAVAILABLE, and reports no more. */
  stop(): void;
}

export function messagingService(dependencies: ProxyDependencies): MessagingService {
  const { cluster, clock, timers, logger, config, colleagues = NO_COLLEAGUES } = dependencies;
  const sessions = createSessions(clock, config.clientSessions, config.publishedTopics);
  const context: ProxyContext = {
    ...dependencies,
    sessions,
    topics: createTopics(dependencies),
    groups: createGroups(dependencies),
    addressing: createAddressing(config.advertisedEndpoints),
    traffic: createTraffic(dependencies.observer),
    colleagues,
  };
  const streams = telemetry(context);
  const reporter = createReporter({ cluster, timers, logger, proxyId: config.proxyId }, sessions);
  const checker = createChecker({
    ...{ cluster, timers, logger },
    publishedTopics: () => streams.publishedTopics(),
    ask: (half) => streams.askProducer(half),
  });
  const questions = createClientQuestions(dependencies, streams, colleagues);
  const roster = createRoster({
    ...{ sessions, colleagues },
    settingsOf: streams.settingsOf,
    nowMs: () => clock.monotonicMs(),
  });
  const notifyLoss: NotifyLoss = (clientId, liteTopic) => {
    streams.notifyLoss(clientId, liteTopic);
    void colleagues.ask('lostLite', { clientId, liteTopic }, COLLEAGUE_MS);
  };
  return {
    handlers: {
      raw: {
        SendMessage: sendMessage(context),
        AckMessage: ackMessage(context),
        ChangeInvisibleDuration: changeInvisibleDuration(context),
      },
      rawStream: { ReceiveMessage: receiveMessage(context), PullMessage: pullMessage(context) },
      plain: {
        QueryRoute: queryRoute(context),
        QueryAssignment: queryAssignment(context),
        Heartbeat: heartbeat(context),
        NotifyClientTermination: notifyClientTermination(context),
        ForwardMessageToDeadLetterQueue: forwardMessageToDeadLetterQueue(context),
        UpdateOffset: updateOffset(context),
        GetOffset: getOffset(context),
        QueryOffset: queryOffset(context),
        EndTransaction: endTransaction(context),
        RecallMessage: recallMessage(context),
        SyncLiteSubscription: syncLiteSubscription(context, notifyLoss),
      },
      duplex: { Telemetry: streams.handler },
    },
    clients: () => sessions.all(),
    roster,
    groupChanged(group) {
      context.groups.refresh(group);
      void colleagues.ask('groupChanged', group, COLLEAGUE_MS);
    },
    official: { context, roster, questions },
    rates: () => context.traffic.rates.perSecond(),
    forColleagues: {
      clients: (selection) => roster.own(selection),
      client: async ({ clientId, nonce, command }) => (await questions.put(clientId, nonce, command)) ?? null,
      published: (clientId) => [...(sessions.get(clientId)?.published ?? [])],
      publishes({ clientId, topic, of }) {
        const session = sessions.get(clientId);
        if (session !== undefined) sessions.publishes(session, topic, of);
        return null;
      },
      goodbye(clientId) {
        sessions.close(clientId);
        return null;
      },
      lostLite({ clientId, liteTopic }) {
        streams.notifyLoss(clientId, liteTopic);
        return null;
      },
      groupChanged(group) {
        context.groups.refresh(group);
        return null;
      },
    },
    start() {
      reporter.start();
      checker.start();
      context.traffic.rates.start(timers, clock);
    },
    stop() {
      reporter.stop();
      checker.stop();
      context.traffic.rates.stop();
      for (const { endPolls } of sessions.all()) for (const endPoll of [...endPolls]) endPoll();
      streams.endAll();
    },
  };
}
