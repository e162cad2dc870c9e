// The methods of BrokerApi in terms of calls and replies of the data plane. Where a method has no place for a fault in
// its answer, the promise is rejected with it.
import type { BrokerApi, PopCall, PopCommand } from '@fulmar/core/broker-api.ts';
import { type Fault, FaultError, fault, type Outcome } from '@fulmar/core/errors.ts';
import type { ScheduleDescription } from '@fulmar/core/schedule-api.ts';
import type { BrokerCall, BrokerReply, ReplyKind } from '@fulmar/runtime/data-plane/messages.ts';

const UNFITTING = fault('INTERNAL_SERVER_ERROR', 'The broker answered something else. Update proxy and broker.');

type ReplyOf<Kind extends ReplyKind> = Extract<BrokerReply, { kind: Kind }>;

function expect<Kind extends ReplyKind>(reply: BrokerReply, kind: Kind): Outcome<ReplyOf<Kind>> {
  if (reply.kind === kind) return { value: reply as ReplyOf<Kind> };
  return { fault: reply.kind === 'fault' ? reply.fault : UNFITTING };
}

function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.fault !== undefined) throw new FaultError(outcome.fault);
  return outcome.value;
}

function mapped<T, U>(outcome: Outcome<T>, map: (value: T) => U): Outcome<U> {
  return outcome.fault === undefined ? { value: map(outcome.value) } : outcome;
}

export function brokerApiOver(
  call: (call: BrokerCall) => Promise<BrokerReply>,
  pop: (command: PopCommand) => PopCall,
): BrokerApi {
  const done = async (request: BrokerCall): Promise<Fault | undefined> => expect(await call(request), 'done').fault;
  const one = (reply: BrokerReply): Outcome<ScheduleDescription> => {
    const { value, fault: refused } = expect(reply, 'schedules');
    const schedule = value?.schedules[0];
    return schedule === undefined ? { fault: refused ?? UNFITTING } : { value: schedule };
  };
  return {
    send: async (command) => {
      const reply = expect(await call({ method: 'send', command }), 'send');
      if (reply.fault === undefined && reply.value.results.length === command.messages.length) {
        return reply.value.results;
      }
      const refused = reply.fault ?? UNFITTING;
      return command.messages.map(() => ({ fault: refused }));
    },
    pop,
    join: async (command) => mapped(expect(await call({ method: 'join', command }), 'joined'), (reply) => reply.queues),
    release: async (command) => {
      unwrap(expect(await call({ method: 'release', command }), 'done'));
    },
    ack: async (command) => {
      const reply = expect(await call({ method: 'ack', command }), 'ack');
      if (reply.fault === undefined && reply.value.faults.length === command.receiptHandles.length) {
        return reply.value.faults;
      }
      const refused = reply.fault ?? UNFITTING;
      return command.receiptHandles.map(() => refused);
    },
    changeInvisible: (command) => done({ method: 'changeInvisible', command }),
    deadLetter: (command) => done({ method: 'deadLetter', command }),
    recall: (command) => done({ method: 'recall', command }),
    peekPriority: async (group, topic) =>
      mapped(expect(await call({ method: 'peekPriority', group, topic }), 'priority'), (reply) => reply.priority),
    reportClients: async (report) => {
      unwrap(expect(await call({ method: 'reportClients', report }), 'done'));
    },
    ensureGroup: async (name, create) =>
      mapped(expect(await call({ method: 'ensureGroup', name, create }), 'group'), (reply) => reply.group),
    putTopic: async (request) =>
      mapped(expect(await call({ method: 'putTopic', request }), 'topic'), (reply) => reply.topic),
    deleteTopic: (name) => done({ method: 'deleteTopic', name }),
    listTopics: async () => unwrap(expect(await call({ method: 'listTopics' }), 'topics')).topics,
    describeTopic: async (name) =>
      mapped(expect(await call({ method: 'describeTopic', name }), 'topicStatus'), (reply) => reply.topic),
    putGroup: async (request) =>
      mapped(expect(await call({ method: 'putGroup', request }), 'group'), (reply) => reply.group),
    deleteGroup: (name) => done({ method: 'deleteGroup', name }),
    deleteSubscription: (group, topic) => done({ method: 'deleteSubscription', group, topic }),
    listGroups: async () => unwrap(expect(await call({ method: 'listGroups' }), 'groups')).groups,
    lag: async (group) => mapped(expect(await call({ method: 'lag', name: group }), 'lags'), (reply) => reply.lags),
    pull: async (command) => mapped(expect(await call({ method: 'pull', command }), 'pulled'), (reply) => reply.pulled),
    putOffset: (offset) => done({ method: 'putOffset', offset }),
    getOffset: async (group, queue) => {
      const offset = { group, ...queue, offset: 0 };
      return mapped(expect(await call({ method: 'getOffset', offset }), 'offset'), (reply) => reply.offset);
    },
    findOffset: async (queue, target) => {
      const find = { queue, target };
      return mapped(expect(await call({ method: 'findOffset', find }), 'offset'), (reply) => reply.offset);
    },
    resetGroup: async (command) =>
      mapped(expect(await call({ method: 'resetGroup', command }), 'resets'), (reply) => reply.resets),
    lite: {
      sync: async (command) =>
        mapped(expect(await call({ method: 'syncLite', command }), 'lostLiteTopics'), (reply) => reply.lost),
      list: async (query) =>
        mapped(expect(await call({ method: 'listLiteTopics', query }), 'liteTopics'), (reply) => reply.topics),
      lags: async (query) =>
        mapped(expect(await call({ method: 'liteLags', query }), 'liteLags'), (reply) => reply.lags),
      readers: async (query) =>
        mapped(expect(await call({ method: 'liteReaders', query }), 'liteReaders'), (reply) => reply.clientIds),
    },
    stepDown: (preferred) => done({ method: 'stepDown', preferred }),
    transactions: {
      end: (command) => done({ method: 'endTransaction', command }),
      takeChecks: async (command) =>
        mapped(expect(await call({ method: 'takeChecks', command }), 'halfMessages'), (reply) => reply.messages),
      list: async (query) =>
        mapped(
          expect(await call({ method: 'listTransactions', query }), 'transactions'),
          (reply) => reply.transactions,
        ),
      show: async (transactionId) => {
        const shown = expect(await call({ method: 'showTransaction', transactionId }), 'halfMessages');
        if (shown.fault !== undefined) return shown;
        const [message] = shown.value.messages;
        return message === undefined ? { fault: UNFITTING } : { value: message };
      },
      resume: (transactionId) => done({ method: 'resumeTransaction', transactionId }),
    },
    schedules: {
      create: async (request) => one(await call({ method: 'createSchedule', request })),
      setPaused: async (name, paused) => one(await call({ method: 'pauseSchedule', name, paused })),
      delete: (name) => done({ method: 'deleteSchedule', name }),
      list: async () =>
        mapped(expect(await call({ method: 'listSchedules' }), 'schedules'), (reply) => reply.schedules),
    },
    finding: {
      find: async (query) => mapped(expect(await call({ method: 'find', query }), 'found'), (reply) => reply.found),
      trace: async (query) => mapped(expect(await call({ method: 'trace', query }), 'trace'), (reply) => reply.trace),
      redrive: async (command) =>
        mapped(expect(await call({ method: 'redrive', command }), 'redriven'), (reply) => reply.redriven),
    },
    status: async () => unwrap(expect(await call({ method: 'status' }), 'status')).status,
  };
}
