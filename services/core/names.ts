// Which names topics, groups and namespaces may have, and how a name and its namespace become one key.
// Checked by loops over character codes: user text never meets a regular expression here.
import { type Fault, fault } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Letters, digits, `_`, `-` and `%`: what every official client accepts. */
function isNameCharacter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x61 && code <= 0x7a) ||
    code === 0x5f ||
    code === 0x2d ||
    code === 0x25
  );
}

function consistsOfNameCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!isNameCharacter(text.charCodeAt(i))) return false;
  }
  return true;
}

export function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
  }
  return false;
}

export function isBlank(text: string): boolean {
  return text.trim().length === 0;
}

/** Topics of Apache RocketMQ's own machinery; taking them would mislead its tools. */
const RESERVED_TOPICS = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
]);

const RETRY_PREFIX = '%RETRY%';
export const DEAD_LETTER_PREFIX = '%DLQ%';

/** Whether a topic of this name may be read or written; `undefined` means it may. */
export function checkTopicName(name: string): Fault | undefined {
  if (isBlank(name)) return fault('ILLEGAL_TOPIC', 'The topic has no name. Give one.');
  if (name.length > LIMITS.topicNameLength) {
    return fault(
      'ILLEGAL_TOPIC',
      `The topic name has ${name.length} characters. Use at most ${LIMITS.topicNameLength}.`,
    );
  }
  if (!consistsOfNameCharacters(name)) {
    return fault('ILLEGAL_TOPIC', 'A topic name may only have letters, digits, "_", "-" and "%". Choose another name.');
  }
  if (RESERVED_TOPICS.has(name) || name.startsWith('rmq_sys_')) {
    return fault('ILLEGAL_TOPIC', 'This topic name is reserved for the system. Choose another name.');
  }
  return undefined;
}

/** Whether a user may create a topic of this name. */
export function checkNewTopicName(name: string): Fault | undefined {
  if (name.startsWith(RETRY_PREFIX) || name.startsWith(DEAD_LETTER_PREFIX)) {
    return fault(
      'ILLEGAL_TOPIC',
      'Topics that begin with %RETRY% or %DLQ% are made by the broker. Choose another name.',
    );
  }
  return checkTopicName(name);
}

export function checkGroupName(name: string): Fault | undefined {
  if (isBlank(name)) return fault('ILLEGAL_CONSUMER_GROUP', 'The consumer group has no name. Give one.');
  if (name.length > LIMITS.groupNameLength) {
    return fault(
      'ILLEGAL_CONSUMER_GROUP',
      `The consumer group name has ${name.length} characters. Use at most ${LIMITS.groupNameLength}.`,
    );
  }
  if (!consistsOfNameCharacters(name)) {
    return fault(
      'ILLEGAL_CONSUMER_GROUP',
      'A consumer group name may only have letters, digits, "_", "-" and "%". Choose another name.',
    );
  }
  if (
    name === 'DEFAULT_CONSUMER' ||
    name === 'TOOLS_CONSUMER' ||
    name.startsWith('CID_RMQ_SYS_') ||
    name.startsWith('CID_ONSAPI_')
  ) {
    return fault('ILLEGAL_CONSUMER_GROUP', 'This consumer group name is reserved for the system. Choose another name.');
  }
  return undefined;
}

export function checkScheduleName(name: string): Fault | undefined {
  if (name !== '' && name.length <= LIMITS.groupNameLength && consistsOfNameCharacters(name)) return undefined;
  return fault(
    'BAD_REQUEST',
    `A schedule has a name of 1 to ${LIMITS.groupNameLength} letters, digits, "_", "-" and "%". Choose another one.`,
  );
}

export function checkNamespace(namespace: string): Fault | undefined {
  if (namespace.length > LIMITS.namespaceLength || !consistsOfNameCharacters(namespace)) {
    return fault(
      'BAD_REQUEST',
      `A namespace may only have ${LIMITS.namespaceLength} letters, digits, "_", "-" and "%". Choose another one.`,
    );
  }
  return undefined;
}

/** The one key of a resource inside the cluster. `/` cannot occur in a name, so keys of two namespaces never meet. */
export function resourceKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

export function splitResourceKey(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The topic that takes what a group could not consume; in the group's own namespace. */
export function deadLetterTopicOf(groupKey: string): string {
  const { namespace, name } = splitResourceKey(groupKey);
  return resourceKey(namespace, DEAD_LETTER_PREFIX + name);
}
