// The data plane between proxies and brokers. A call or a result that the protos write is read and written again by
// hand: what the protos read then is what they have written, so neither way loses or changes a field. Damaged bytes are
// refused with a ProtobufError, or are read as something that is written and read the same.
import { TOPIC_TYPES } from '@fulmar/core/broker-api.ts';
import { ERRORS } from '@fulmar/core/errors.ts';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import { decodeCall } from '@fulmar/runtime/data-plane/decode-call.ts';
import { decodeReply } from '@fulmar/runtime/data-plane/decode-reply.ts';
import { encodeCall } from '@fulmar/runtime/data-plane/encode-call.ts';
import { encodeReply } from '@fulmar/runtime/data-plane/encode-reply.ts';
import type { SeededRandom } from '../simulation/random.ts';
import { agree, attempt, type CodecCase, Disagreement, type Fate } from './codec-case.ts';
import { type Meanings, randomMessage } from './generated-message.ts';
import { plain, typeNamed } from './schema.ts';
import { judge } from './wire-judge.ts';

const RULES = {
  // Of a message without fields nothing is read.
  opaque: new Set(['Call.listTopics', 'Call.listGroups', 'Call.status', 'Call.listSchedules', 'Result.done']),
  texts: () => false,
};
/** Well-formed, but a value that has no meaning to this version. */
const WITHOUT_MEANING = /does not know|there is no (topic type|way)|a call has no id|names no (topic|transaction)/;

interface Way {
  readonly name: string;
  /** Reads and writes again; undefined for a method that is not known. */
  readonly through: (bytes: Buffer) => Buffer | undefined;
}

const CALL: Way = {
  name: 'Call',
  through: (bytes) => {
    const { id, call } = decodeCall(new ProtobufReader(bytes));
    return call === undefined ? undefined : encodeCall(id, call);
  },
};

const RESULT: Way = {
  name: 'Result',
  through: (bytes) => {
    const { id, reply } = decodeReply(new ProtobufReader(bytes));
    return reply === undefined ? undefined : encodeReply(id, reply);
  },
};

const CODES = Object.values(ERRORS).map(({ code }) => code);

/** What other values than these say is refused, or is read as the value that stands for it. */
const MEANINGS: Meanings = {
  Call: (call, random) => {
    call.id = 1 + random.below(2 ** 31);
    // By its definition not read.
    if (call.getOffset !== undefined) delete call.getOffset.offset;
  },
  Fault: (fault, random) => {
    fault.code = random.pick(CODES);
  },
  SendResult: (result, random) => {
    // Either is all that there is to say.
    if (result.fault !== undefined)
      for (const field of Object.keys(result)) if (field !== 'fault') delete result[field];
    delete result[random.pick(['recallHandle', 'transactionId'])];
  },
  Pop: (pop, random) => {
    atLeast(pop, 'leastPriorityPlusOne', 0);
    delete pop[random.pick(['filter', 'sql'])];
  },
  Pull: (pull, random) => {
    delete pull[random.pick(['filter', 'sql'])];
  },
  MessageToStore: (message) => atLeast(message, 'priorityPlusOne', 0),
  Priority: (priority) => atLeast(priority, 'priorityPlusOne', 0),
  FoundMessage: (message) => atLeast(message, 'queueOffsetPlusOne', 0),
  TopicPlacement: (placement) => {
    placement.sets = [...new Set(placement.sets ?? [])].sort();
  },
  PutTopic: (topic, random) => {
    topic.type = random.pick(TOPIC_TYPES);
    topic.typeChange = random.below(3);
  },
  Topic: (topic, random) => {
    atLeast(topic, 'liteExpirationMs', 0);
    topic.type = random.pick(TOPIC_TYPES);
  },
  TopicStatus: (status) => {
    status.topic ??= { type: 'normal' };
  },
  BrokerStatus: (status, random) => {
    status.role = random.pick(['master', 'slave', 'starting', 'failed']);
    status.flush = random.pick(['sync', 'async']);
    status.acknowledge = random.pick(['isr', 'leader']);
  },
  ReplicaStatus: (replica, random) => {
    replica.role = random.pick(['master', 'slave']);
  },
  FindOffset: (find) => {
    find.target ??= {};
  },
  Reset: (reset) => {
    reset.to ??= {};
  },
  CreateSchedule: (schedule) => {
    schedule.message ??= {};
  },
  Schedule: (schedule) => {
    schedule.definition ??= { message: {} };
  },
  HalfMessage: (half) => {
    half.transaction ??= {};
  },
  Joined: (joined) => {
    // Who owns none, but shares all, has no list.
    if (joined.isOwner !== true) delete joined.queues;
  },
};

function atLeast(message: Record<string, number>, field: string, least: number): void {
  if (message[field] !== undefined) message[field] = Math.max(least, message[field]);
}

function dataPlaneCase({ name, through }: Way): CodecCase {
  const type = typeNamed(`fulmar.v1.${name}`);
  return {
    name: `${name} of the data plane`,
    valid(random: SeededRandom): Buffer {
      const message = randomMessage(random, type, MEANINGS);
      const bytes = Buffer.from(type.encode(message).finish());
      const again = through(bytes);
      if (again === undefined) return bytes;
      agree(name, plain(type, again), plain(type, bytes));
      return bytes;
    },
    damaged(bytes: Buffer): Fate {
      const tried = attempt(() => through(bytes));
      const { malformed, ordinary } = judge(type, bytes, RULES);
      if ('refusal' in tried) {
        const isClear = malformed !== undefined || !ordinary || WITHOUT_MEANING.test(tried.refusal);
        if (!isClear) throw new Disagreement(`${name}: well-formed, and refused: ${tried.refusal}`);
        return 'refused';
      }
      if (malformed !== undefined && ordinary) throw new Disagreement(`${name}: malformed (${malformed}), and taken`);
      if (tried.value === undefined) return 'read';
      const again = through(tried.value);
      agree(`${name}, written and read again`, again && plain(type, again), plain(type, tried.value));
      return 'read the same';
    },
  };
}

export const DATA_PLANE_CASES: readonly CodecCase[] = [CALL, RESULT].map(dataPlaneCase);
