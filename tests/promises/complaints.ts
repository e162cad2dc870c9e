// What users of RocketMQ have complained about, and the tests whose titles say that it cannot happen here.
// docs/complaints.md is made from this table, and a test holds it against the titles.
import { type Kept, kept } from './promise.ts';

export interface Complaint {
  readonly text: string;
  /** `owner/repository#number`. */
  readonly reports: readonly string[];
  readonly tests: readonly Kept[];
}

const TESTING = 'services/proxy/testing';
const consumption = kept(
  'tests/simulation/consumption.test.ts',
  'a broker keeps its promises to producers and consumers in',
);
const client = (title: string): Kept => kept('tests/integration/clients.test.ts', title);

const triedAsOften = client(
  'every time is tried as often as its group allows, and then lies in the dead-letter topic for the $name client',
);
const bothOnOnePort = client(
  'clients that begin with TLS and clients that begin in plaintext are served on the same port at the same time',
);

export const COMPLAINTS: Readonly<Record<string, readonly Complaint[]>> = {
  'Consuming, acknowledging, retries': [
    {
      text: 'Messages that nobody acknowledged are lost, or the wrong ones come again, when they are revived.',
      reports: ['apache/rocketmq#7914', 'apache/rocketmq#7724', 'apache/rocketmq#9956'],
      tests: [
        kept(
          'tests/integration/durability.test.ts',
          'a message whose acknowledgement was answered OK never comes again, and no message is forgotten',
        ),
        consumption,
      ],
    },
    {
      text: 'A topic made anew under an old name is consumed again without end.',
      reports: ['apache/rocketmq#8479'],
      tests: [
        kept(
          'tests/simulation/recreated-topics.test.ts',
          'a topic made anew under its old name has nothing of the old one, and takes none of its handles',
        ),
      ],
    },
    {
      text: 'Lite topics lose messages that are handed out again, and need a restart before they go on.',
      reports: ['apache/rocketmq#11191', 'apache/rocketmq#11163'],
      tests: [
        kept('tests/simulation/lite.test.ts', 'see each lite topic in order, only their own, and all of it: seed %i'),
        kept(
          'tests/simulation/lite.test.ts',
          'is read on at once after a restart or a power cut, although no consumer has said anything since',
        ),
      ],
    },
    {
      text: 'A restart makes a group begin with the oldest message again.',
      reports: ['apache/rocketmq#3503', 'apache/rocketmq#3787'],
      tests: [
        kept(
          'tests/integration/durability.test.ts',
          'what was acknowledged before the power went is there when it is back, and what was settled stays settled',
        ),
      ],
    },
    {
      text: 'A proxy that crashes takes with it the handles that its clients hold.',
      reports: ['apache/rocketmq#10278'],
      tests: [
        kept(
          `${TESTING}/acceptance-consume.ts`,
          '23 ack via a different proxy works; second ack OK; expired or garbage handle 40013; Rust OK',
        ),
        kept(`${TESTING}/acceptance-delivery.ts`, '26 a push handler of 5 min (auto_renew) is not redelivered'),
      ],
    },
    {
      text: 'A simple consumer waits for minutes, because it asks one queue of one master.',
      reports: ['apache/rocketmq#9145', 'apache/rocketmq-clients#913', 'apache/rocketmq-clients#655'],
      tests: [
        kept(
          'services/proxy/api/sets.test.ts',
          'a receive finds the messages of whatever set has some, and settles them there',
        ),
        kept(
          'services/proxy/api/sets.test.ts',
          'a waiting receive is woken by any set; what others took at that moment goes back uncounted',
        ),
      ],
    },
    {
      text: 'What a client does not acknowledge never comes back to it.',
      reports: ['apache/rocketmq-clients#1344'],
      tests: [client('comes back to the $name client as its second attempt, and the others do not')],
    },
    {
      text: 'A FIFO message is tried twice as often: by the client, and by the server again.',
      reports: ['apache/rocketmq-clients#1096'],
      tests: [
        triedAsOften,
        kept(
          `${TESTING}/acceptance-delivery.ts`,
          '27 FIFO: the group resumes after the dead-letter topic took its failing message',
        ),
      ],
    },
  ],
  'API, clients, TLS': [
    {
      text: 'RPCs that the protocol declares answer UNIMPLEMENTED, so that tools such as KEDA cannot work.',
      reports: ['apache/rocketmq#10434'],
      tests: [
        kept('tests/integration/hostile.test.ts', 'no RPC that the official protos declare answers UNIMPLEMENTED'),
        kept('services/proxy/api/service.test.ts', 'has a handler'),
      ],
    },
    {
      text: 'The proxy and the broker have two different longest delays.',
      reports: ['apache/rocketmq-client-go#1181'],
      tests: [
        kept(
          'tests/simulation/delayed.test.ts',
          'there is one limit for all, and the refusal names it and the setting',
        ),
      ],
    },
    {
      text:
        'A delay of ten minutes becomes twenty-two, or never ends; a restart repeats delayed messages, ' +
        'or loses them.',
      reports: ['apache/rocketmq#6566', 'apache/rocketmq#8022', 'apache/rocketmq#11157'],
      tests: [
        kept(
          'tests/simulation/delayed.test.ts',
          'a message is never early, and there within 50 ms of its time, for delays of 10 ms to ten minutes',
        ),
        kept(
          'tests/simulation/delayed.test.ts',
          'what waits survives power cuts, comes at its time, and is not repeated by a restart',
        ),
      ],
    },
    {
      text: 'A transaction ends without its producer ever being asked; checks are counted that were not sent.',
      reports: ['apache/rocketmq#8311', 'apache/rocketmq#1694'],
      tests: [
        kept(
          'tests/simulation/transactions.test.ts',
          'waits while its topic has no producer, uses up no check, and expires when its time is over',
        ),
        kept(
          'services/proxy/clients/checker.test.ts',
          'nobody whose stream is full: the check is not counted, and comes when there is room again',
        ),
      ],
    },
    {
      text: 'A transaction that was committed is asked about again, and committed twice.',
      reports: ['apache/rocketmq#10199'],
      tests: [
        kept(
          'services/broker/state/transactions.test.ts',
          'a half message has no place in its queue, and its commit gives it the next one, once',
        ),
        kept(
          'tests/integration/clients-transactions.test.ts',
          'are committed and rolled back, and nobody is asked about them',
        ),
      ],
    },
    {
      text: 'Some clients begin with TLS and some without, and each needs a port or a setting of its own.',
      reports: ['apache/rocketmq#5656', 'apache/rocketmq-clients#1070', 'apache/rocketmq-clients#698'],
      tests: [bothOnOnePort],
    },
    {
      text: 'A client with odd heartbeats, or whose stream broke, is dropped after a while.',
      reports: ['apache/rocketmq-clients#649', 'apache/rocketmq-clients#745', 'apache/rocketmq-clients#857'],
      tests: [
        kept(
          `${TESTING}/acceptance-telemetry.ts`,
          '10 killing the telemetry stream does not stop sending, receiving and acknowledging',
        ),
        kept(
          `${TESTING}/acceptance-robustness.ts`,
          '4 without client id a heartbeat and a route query are answered, everything else is 40017',
        ),
      ],
    },
    {
      text: 'Members of one group with different subscriptions lose messages.',
      reports: ['apache/rocketmq#2954', 'apache/rocketmq#5473', 'apache/rocketmq#7717'],
      tests: [
        kept(
          'tests/simulation/filters.test.ts',
          'a member with another filter is refused while one with that in force is online, and none is lost',
        ),
      ],
    },
    {
      text: 'A topic that its first message makes lands on one broker for ever.',
      reports: ['apache/rocketmq#6657', 'apache/rocketmq#2744'],
      tests: [
        kept(
          'services/proxy/api/first-use.test.ts',
          'a topic that its first message makes is on every broker set before that message is stored',
        ),
      ],
    },
    {
      text: 'The lag of a single queue cannot be seen, or metrics explode with the number of names.',
      reports: ['apache/rocketmq-exporter#190', 'nats-io/prometheus-nats-exporter#376'],
      tests: [
        kept(
          `${TESTING}/acceptance-official-admin.ts`,
          'QueryTimeSpan tells the times of each queue, and how far behind the group is',
        ),
        kept(
          'services/runtime/observation.test.ts',
          'of 10,000 topics, each with a group, are 2,000 series each at most, histograms by all lines',
        ),
      ],
    },
    {
      text: 'A broker whose disk was full stays refused until somebody restarts it.',
      reports: ['alibaba/rocketmq#331', 'apache/rocketmq#2398'],
      tests: [
        kept(
          'services/broker/log/log.test.ts',
          'is refused at the reserve, in a sentence that says what to do, and resumes by itself',
        ),
      ],
    },
  ],
};
