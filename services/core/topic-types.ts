// What the type of a topic promises: which messages it takes, how many queues it has, and whether it also says how they
// are consumed.
import { MESSAGE_TYPE, type TopicType } from './broker-api.ts';
import { type Fault, fault } from './errors.ts';
import { LIMITS } from './limits.ts';

const { normal, fifo, delay, transaction, lite, priority } = MESSAGE_TYPE;

const ACCEPTED_TYPES: Readonly<Record<TopicType, readonly number[]>> = {
  normal: [normal],
  fifo: [fifo],
  delay: [delay],
  transaction: [transaction],
  lite: [lite],
  priority: [priority],
  mixed: [normal, fifo, delay, transaction],
};

const TYPE_NAMES = ['unspecified', 'normal', 'fifo', 'delay', 'transaction', 'lite', 'priority'];

/** Numbers of the MessageType enum that a topic of this type takes. */
export function acceptedTypesOf(type: TopicType): readonly number[] {
  return ACCEPTED_TYPES[type];
}

/** The name of a number of the MessageType enum. */
export function messageTypeName(type: number): string {
  return TYPE_NAMES[type] ?? 'unspecified';
}

/** Why a topic of this type does not take a message of that type; undefined if it does. */
export function checkAccepted(type: number, topicType: TopicType): Fault | undefined {
  if (ACCEPTED_TYPES[topicType].includes(type)) return undefined;
  return fault(
    'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE',
    `The topic takes ${topicType} messages, this one is ${messageTypeName(type)}. Send it to a topic of its type.`,
  );
}

/** Queues that a topic of this type gets when so many are asked for: in a priority topic each priority has its own. */
export function queuesFor(type: TopicType, asked: number): number {
  return type === 'priority' ? LIMITS.priorities : asked;
}

/** Whether the type says in which order messages are consumed, and not only which ones are taken. */
export function ordersConsumption(type: TopicType): boolean {
  return type === 'fifo' || type === 'priority' || type === 'lite';
}
