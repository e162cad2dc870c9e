// Every RPC of the newest official protos, what Fulmar does with it, and the tests that call it. docs/rpcs.md is made
// from this table, and a test holds it against the protos and against the titles of the tests.
import { type Kept, kept } from './promise.ts';

export interface RpcRow {
  readonly rpc: string;
  /** What is not there yet, or worth knowing; empty when the RPC does what the proto says. */
  readonly note: string;
  readonly tests: readonly Kept[];
}

const TESTING = 'services/proxy/testing';
const routes = (title: string): Kept => kept(`${TESTING}/acceptance-routes.ts`, title);
const robustness = (title: string): Kept => kept(`${TESTING}/acceptance-robustness.ts`, title);
const produce = (title: string): Kept => kept(`${TESTING}/acceptance-produce.ts`, title);
const consume = (title: string): Kept => kept(`${TESTING}/acceptance-consume.ts`, title);
const delivery = (title: string): Kept => kept(`${TESTING}/acceptance-delivery.ts`, title);
const delay = (title: string): Kept => kept(`${TESTING}/acceptance-delay.ts`, title);
const transactions = (title: string): Kept => kept(`${TESTING}/acceptance-transactions.ts`, title);
const telemetry = (title: string): Kept => kept(`${TESTING}/acceptance-telemetry.ts`, title);
const priority = (title: string): Kept => kept(`${TESTING}/acceptance-priority.ts`, title);
const lite = (title: string): Kept => kept(`${TESTING}/acceptance-lite.ts`, title);
const offsets = (title: string): Kept => kept(`${TESTING}/acceptance-offsets.ts`, title);
const officialLite = (title: string): Kept => kept(`${TESTING}/acceptance-official-lite.ts`, title);
const official = (title: string): Kept => kept(`${TESTING}/acceptance-official-admin.ts`, title);

const MESSAGING: readonly RpcRow[] = [
  {
    rpc: 'QueryRoute',
    note: '',
    tests: [
      routes('13 every route: one address, broker id 0, READ_WRITE, queue id 0, no type 0, identical bytes'),
      routes('13 an unknown topic is 40402, never OK and empty'),
    ],
  },
  {
    rpc: 'Heartbeat',
    note: '',
    tests: [
      robustness('4 without client id a heartbeat and a route query are answered, everything else is 40017'),
      delivery('26 a push handler of 5 min (auto_renew) is not redelivered'),
    ],
  },
  {
    rpc: 'SendMessage',
    note: '',
    tests: [
      produce('15 single send: top code = entry code for each validation fault, entries mirrored'),
      produce('15 a good batch is OK as a whole'),
      produce('17 FIFO sends of one group from Java, Python, C#, Rust end in one queue, in order'),
      delay('18 a delay message arrives at its time and not before (topic %s)'),
      transactions('19 a half message is not delivered before its commit, and once after it'),
      priority('a message comes with the priority that it was sent with'),
      lite('31 a consumer gets the messages of the lite topics that it added, and of no other'),
    ],
  },
  {
    rpc: 'QueryAssignment',
    note: '',
    tests: [
      routes('14 QueryAssignment is identical between calls: queue -1 of each broker, endpoints of the route'),
      routes('14 a FIFO group gets one assignment for each queue'),
    ],
  },
  {
    rpc: 'ReceiveMessage',
    note: '',
    tests: [
      consume('20 frame order: status, messages, delivery_timestamp'),
      consume('20 a poll that waits is answered when a message comes'),
      consume('21 every message passes the digest check, has attempt 1 and all fields of the server'),
    ],
  },
  {
    rpc: 'AckMessage',
    note: '',
    tests: [consume('23 ack via a different proxy works; second ack OK; expired or garbage handle 40013; Rust OK')],
  },
  {
    rpc: 'ForwardMessageToDeadLetterQueue',
    note: '',
    tests: [delivery('28 forward-to-DLQ without handle works; repeated forward is OK')],
  },
  {
    rpc: 'PullMessage',
    note: '',
    tests: [
      offsets('PullMessage gives what stands from an offset on, and where to go on'),
      offsets('PullMessage takes nothing away from anybody, and filters'),
    ],
  },
  {
    rpc: 'UpdateOffset',
    note: '',
    tests: [offsets('GetOffset gives what UpdateOffset has stored, also through another proxy')],
  },
  {
    rpc: 'GetOffset',
    note: '',
    tests: [offsets('GetOffset gives what UpdateOffset has stored, also through another proxy')],
  },
  { rpc: 'QueryOffset', note: '', tests: [offsets('QueryOffset finds the beginning, the end, and a time')] },
  {
    rpc: 'EndTransaction',
    note: '',
    tests: [
      transactions('19 a half message is not delivered before its commit, and once after it'),
      transactions('19 a message that is rolled back is never delivered'),
    ],
  },
  {
    rpc: 'Telemetry',
    note: '',
    tests: [
      telemetry('7 producer, push, simple, lite settings contain all mandatory fields and the right strategy'),
      telemetry('9 settings changed later on the server are pushed to the streams of the group'),
      telemetry('10 killing the telemetry stream does not stop sending, receiving and acknowledging'),
      transactions('19 a half message without decision comes back to its producer, complete enough for all clients'),
    ],
  },
  {
    rpc: 'NotifyClientTermination',
    note: '',
    tests: [
      delivery('32 a goodbye ends the open polls of its client'),
      delivery('26 clean shutdown: redelivered within 2 s'),
    ],
  },
  {
    rpc: 'ChangeInvisibleDuration',
    note: '',
    tests: [
      consume('24 nack durations are honoured, and the handle stays as it is'),
      lite('a suspended message comes again later, in its place, and as the same attempt'),
    ],
  },
  {
    rpc: 'RecallMessage',
    note: '',
    tests: [
      delay('18 recalled before its time, through any proxy: never delivered; recalled again: NOT_FOUND'),
      delay('a handle that is none, or of another topic, recalls nothing'),
    ],
  },
  {
    rpc: 'SyncLiteSubscription',
    note: '`version` is not read.',
    tests: [
      lite('31 a consumer gets the messages of the lite topics that it added, and of no other'),
      lite('31 what a consumer removed does not come any more, and a whole set replaces what it read'),
    ],
  },
];

const ADMIN: readonly RpcRow[] = [
  {
    rpc: 'ChangeLogLevel',
    note: 'Of the process that answers, until it ends. TRACE is DEBUG.',
    tests: [official('ChangeLogLevel changes it, and says what counts from now on')],
  },
  {
    rpc: 'DescribeTopicStatus',
    note: 'Topics have no tags.',
    tests: [official('DescribeTopicStatus tells the type of a topic, and does not make one by asking')],
  },
  {
    rpc: 'ListSubscription',
    note: '`online` is about consumers at the proxy that answers. When a subscription changed is not kept.',
    tests: [official('ListSubscription and DescribeSubscription tell who reads what, and who of them is connected')],
  },
  {
    rpc: 'DescribeSubscription',
    note: 'Consumers at the proxy that answers.',
    tests: [official('ListSubscription and DescribeSubscription tell who reads what, and who of them is connected')],
  },
  {
    rpc: 'DeleteSubscription',
    note: 'Refused while consumers of the group are connected to the proxy that answers.',
    tests: [
      official('DeleteSubscription makes a group meet a topic anew, but not under its consumers'),
      officialLite('DeleteSubscription makes a group forget its place in every lite topic'),
    ],
  },
  {
    rpc: 'DescribeGroupAccumulation',
    note: 'The time of the last consumption is not kept. Without `lite_topic` 1,000 lite topics at most.',
    tests: [
      official('DescribeGroupAccumulation counts what waits and what is held, in all and for each topic'),
      officialLite('DescribeGroupAccumulation tells what a group has before it in each lite topic that it has read'),
    ],
  },
  {
    rpc: 'ListConsumerConnection',
    note: 'Consumers at the proxy that answers.',
    tests: [
      official('ListConsumerConnection lists the consumers of a group that are connected here'),
      officialLite('ListConsumerConnection lists the consumers that read a lite topic, and their message model'),
    ],
  },
  {
    rpc: 'ResetGroupOffset',
    note: '`fulmar group reset` can also tell beforehand what would happen.',
    tests: [
      official('ResetGroupOffset makes a group go on with the first message stored at or after a time'),
      officialLite('ResetGroupOffset sets a group back in the lite topics that it has read'),
      kept('tests/simulation/resets.test.ts', 'begins at the first message stored at or after a time'),
    ],
  },
  {
    rpc: 'QueryMessage',
    note: 'With `subscription` or `broker_name` it looks through 20,000 messages a call; `scroll_id` goes on.',
    tests: [
      official('QueryMessage finds messages by time, id, key and tag, and goes on where it ended'),
      official('a message is found by id, key and time whether it stands before or behind 20,000 others'),
      officialLite('QueryMessage scans every message of a lite topic, and finds its messages by id and time'),
    ],
  },
  {
    rpc: 'PrintThreadStackTrace',
    note: 'Clients at the proxy that answers, of languages that can.',
    tests: [official('PrintThreadStackTrace asks the client over its stream, and only its own answer counts')],
  },
  {
    rpc: 'VerifyMessage',
    note: 'Clients at the proxy that answers, of languages that can.',
    tests: [official('VerifyMessage has a client consume a stored message, and tells what became of it')],
  },
  {
    rpc: 'AdminSendMessage',
    note: 'No half messages: nobody would end them.',
    tests: [
      official('AdminSendMessage sends by the rules of every producer'),
      officialLite('AdminSendMessage sends to a lite topic, and VerifyMessage has a client try its message'),
    ],
  },
  {
    rpc: 'GetConsumerRunningInfo',
    note: 'What the proxy that answers knows; the protocol has no question to the client itself.',
    tests: [official('GetConsumerRunningInfo tells what this proxy knows of a consumer')],
  },
  {
    rpc: 'GetTopicRoute',
    note: '',
    tests: [official('GetTopicRoute names for every broker set the address at which the tool reached the proxy')],
  },
  {
    rpc: 'QueryTimeSpan',
    note: 'The consume time is that of the newest message handed out. Not of LITE topics, which have no queues.',
    tests: [official('QueryTimeSpan tells the times of each queue, and how far behind the group is')],
  },
  {
    rpc: 'GetProxyRuntimeStats',
    note: 'Rates over the last ten seconds.',
    tests: [official('GetProxyRuntimeStats counts clients, and messages a second')],
  },
];

export const RPCS: Readonly<Record<string, readonly RpcRow[]>> = {
  'apache.rocketmq.v2.MessagingService': MESSAGING,
  'apache.rocketmq.v2.Admin': ADMIN,
};
