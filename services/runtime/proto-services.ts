// The services of the protos and the kinds of their methods, as a table: a server checks its handlers at every start,
// and parsing the files for that would take longer than all the rest of it. A test compares the table with the files.
import type { MethodBinding } from './rpc.ts';

export interface ProtoService {
  /** Relative to the directory of the protos. */
  readonly file: string;
  /** Names of methods as in the proto (`SendMessage`), by their kind. */
  readonly methods: Readonly<Partial<Record<MethodBinding['kind'], readonly string[]>>>;
}

export const PROTO_SERVICES: Readonly<Record<string, ProtoService>> = {
  'apache.rocketmq.v2.MessagingService': {
    file: 'apache/rocketmq/v2/service.proto',
    methods: {
      unary: [
        ...['QueryRoute', 'Heartbeat', 'SendMessage', 'QueryAssignment', 'AckMessage', 'EndTransaction'],
        ...['ForwardMessageToDeadLetterQueue', 'UpdateOffset', 'GetOffset', 'QueryOffset', 'NotifyClientTermination'],
        ...['ChangeInvisibleDuration', 'RecallMessage', 'SyncLiteSubscription'],
      ],
      stream: ['ReceiveMessage', 'PullMessage'],
      duplex: ['Telemetry'],
    },
  },
  'apache.rocketmq.v2.Admin': {
    file: 'apache/rocketmq/v2/admin.proto',
    methods: {
      unary: [
        ...['ChangeLogLevel', 'DescribeTopicStatus', 'ListSubscription', 'DescribeSubscription', 'DeleteSubscription'],
        ...['DescribeGroupAccumulation', 'ListConsumerConnection', 'ResetGroupOffset', 'QueryMessage'],
        ...['PrintThreadStackTrace', 'VerifyMessage', 'AdminSendMessage', 'GetConsumerRunningInfo', 'GetTopicRoute'],
        ...['QueryTimeSpan', 'GetProxyRuntimeStats'],
      ],
    },
  },
  'fulmar.v1.Admin': {
    file: 'fulmar/v1/admin.proto',
    methods: {
      unary: [
        ...['CreateTopic', 'ListTopics', 'DescribeTopic', 'SpreadTopic', 'ChangeTopicType', 'DeleteTopic'],
        ...['ListLiteTopics', 'CreateGroup', 'ListGroups', 'DescribeGroup', 'DeleteGroup', 'ResetGroup', 'GetLag'],
        ...['FindMessages', 'TraceMessage', 'ListDeadLetters', 'RedriveDeadLetters', 'ListTransactions'],
        ...['DescribeTransaction', 'EndTransaction', 'ResumeTransaction', 'CreateSchedule', 'ListSchedules'],
        ...['DescribeSchedule', 'PauseSchedule', 'ResumeSchedule', 'DeleteSchedule', 'GetClusterStatus', 'StepDown'],
      ],
    },
  },
  'fulmar.v1.BrokerData': { file: 'fulmar/v1/broker.proto', methods: { duplex: ['Open'] } },
  'fulmar.v1.NameServer': {
    file: 'fulmar/v1/nameserver.proto',
    methods: { unary: ['GetRoute', 'ListTopics', 'ListBrokers'], stream: ['Watch'], duplex: ['Register'] },
  },
  'fulmar.v1.Replication': {
    file: 'fulmar/v1/replication.proto',
    methods: { unary: ['Manifest', 'ReadFile', 'ReadRecord', 'Describe'], duplex: ['Follow'] },
  },
  'grpc.health.v1.Health': { file: 'grpc/health/v1/health.proto', methods: { unary: ['Check'], stream: ['Watch'] } },
  'grpc.reflection.v1.ServerReflection': {
    file: 'grpc/reflection/v1/reflection.proto',
    methods: { duplex: ['ServerReflectionInfo'] },
  },
  'grpc.reflection.v1alpha.ServerReflection': {
    file: 'grpc/reflection/v1alpha/reflection.proto',
    methods: { duplex: ['ServerReflectionInfo'] },
  },
  'etcdserverpb.KV': { file: 'etcd/v3/rpc.proto', methods: { unary: ['Range', 'Txn'] } },
  'etcdserverpb.Watch': { file: 'etcd/v3/rpc.proto', methods: { duplex: ['Watch'] } },
};

/** Throws if there is no such service or method. */
export function methodKind(service: string, name: string): MethodBinding['kind'] {
  const { methods } = protoService(service);
  for (const kind of ['unary', 'stream', 'duplex'] as const) if (methods[kind]?.includes(name)) return kind;
  throw new Error(`There is no method ${name} in ${service}.`);
}

export function protoService(service: string): ProtoService {
  const found = Object.hasOwn(PROTO_SERVICES, service) ? PROTO_SERVICES[service] : undefined;
  if (found === undefined) throw new Error(`There is no service ${service} in the protos.`);
  return found;
}

/** Throws if a method does not exist, or is of another kind than its handler. */
export function checkBinding(service: string, methods: Readonly<Record<string, MethodBinding>>): void {
  for (const [name, { kind }] of Object.entries(methods)) {
    const declared = methodKind(service, name);
    if (declared !== kind) throw new Error(`/${service}/${name} is ${declared}, its handler is ${kind}.`);
  }
}
