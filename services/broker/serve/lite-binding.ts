// Which groups may read which topics, as far as lite topics are concerned: a group of lite consumers is bound to one
// LITE topic, and nobody else reads that.
import { type Fault, fault } from '@fulmar/core/errors.ts';
import type { Group } from '../state/groups.ts';
import type { Topic } from '../state/topics.ts';

/** Why the group may not read the lite topics of this topic, or undefined. */
export function bindingFault(group: Group | undefined, topic: Topic | undefined): Fault | undefined {
  if (topic === undefined) return fault('TOPIC_NOT_FOUND', 'There is no such topic. Create it first.');
  if (group === undefined) {
    return fault('CONSUMER_GROUP_NOT_FOUND', 'There is no such consumer group. Create it first.');
  }
  if (group.lite === undefined) {
    return fault(
      'ILLEGAL_CONSUMER_GROUP',
      `Topic ${topic.name} is of type LITE, and group ${group.name} is not bound to it. Use a group that was created ` +
        'with --lite-topic, or a new name with a lite consumer.',
    );
  }
  if (group.lite.topic !== topic.name) {
    return fault(
      'ILLEGAL_TOPIC',
      `Group ${group.name} reads lite topics of ${group.lite.topic} and nothing else. Use another group for ` +
        `${topic.name}.`,
    );
  }
  if (topic.type === 'lite') return undefined;
  return fault('ILLEGAL_TOPIC', `Topic ${topic.name} has no lite topics: it is of type ${topic.type}, not LITE.`);
}
