// The messages of one send by the broker set that they go to. All messages of one message group go to one set of the
// topic's placement, whether that is there at the moment or not; the others of a call stay together. The same request
// gives the same shipments again.
import type { MessageToStore } from '@fulmar/core/broker-api.ts';
import type { Fault } from '@fulmar/core/errors.ts';
import { hash32, mix32 } from '@fulmar/core/hash.ts';
import { setHashOf } from '@fulmar/core/receipt-handle.ts';
import type { TopicRoute } from '@fulmar/core/route.ts';
import { checkAccepted } from '@fulmar/core/topic-types.ts';
import type { SentMessage } from './codec/send-request.ts';
import { messageToStore, orderingKeyOf } from './codec/stored-message.ts';
import { checkMessage, typeOf } from './message-rules.ts';

/** Messages of one call that go to one broker set. */
export interface Shipment {
  readonly orderingKey: string;
  /** What chooses the set. */
  readonly key: string;
  /** Places of the messages in the request. */
  readonly indexes: number[];
  readonly messages: MessageToStore[];
}

/** What belongs to a call, and stays the same when its request is packed again. */
export interface Packing {
  readonly route: TopicRoute;
  readonly nowMs: number;
  readonly clientId: string;
}

/** The messages that can be stored, by the set that they go to; `refuse` hears of the others. */
export function pack(
  messages: readonly SentMessage[],
  { route, nowMs, clientId }: Packing,
  refuse: (index: number, found: Fault) => void,
): readonly Shipment[] {
  // Without a message group a batch stays together; what chooses its set is the same in every repetition of it.
  const batchKey = messages[0]!.messageId;
  const shipments: Shipment[] = [];
  let current: Shipment | undefined;
  /** Made for the second one only. */
  let byKey: Map<string, Shipment> | undefined;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index]!;
    const type = typeOf(message);
    const found = checkMessage(message) ?? checkAccepted(type, route.type);
    if (found !== undefined) {
      refuse(index, found);
      continue;
    }
    const orderingKey = orderingKeyOf(message);
    const toStore = messageToStore(message, type, nowMs, clientId);
    if (current?.orderingKey !== orderingKey) {
      if (current !== undefined) byKey ??= new Map([[current.orderingKey, current]]);
      current = byKey?.get(orderingKey);
      if (current === undefined) {
        const key = orderingKey === '' ? batchKey : `group ${orderingKey}`;
        current = { orderingKey, key, indexes: [], messages: [] };
        shipments.push(current);
        byKey?.set(orderingKey, current);
      }
    }
    current.indexes.push(index);
    current.messages.push(toStore);
  }
  return mergeBySet(shipments, route);
}

/** With one broker set, which is the common case, a batch is one write whatever message groups it has. */
function mergeBySet(shipments: readonly Shipment[], route: TopicRoute): readonly Shipment[] {
  if (shipments.length < 2 || route.shares.length > 1 || placesOf(route).length > 1) return shipments;
  const all = shipments.flatMap(({ indexes, messages }) =>
    indexes.map((index, i) => ({ index, message: messages[i]! })),
  );
  all.sort((a, b) => a.index - b.index);
  const [{ orderingKey, key }] = shipments as readonly [Shipment];
  return [{ orderingKey, key, indexes: all.map(({ index }) => index), messages: all.map(({ message }) => message) }];
}

/** The sets that may store a shipment, the best one first. */
export function setsFor({ key, messages }: Shipment, route: TopicRoute): readonly string[] {
  // Order would be lost if the messages of one group went to another set while theirs rests.
  if (messages[0]!.messageGroup !== '') return setsInOrder(placesOf(route), key).slice(0, 1);
  return setsInOrder(
    route.shares.map(({ set }) => set),
    key,
  );
}

/** The sets that message groups are spread over. */
function placesOf({ placement, shares }: TopicRoute): readonly string[] {
  return placement?.sets ?? shares.map(({ set }) => set);
}

/** The one that the key belongs to first. When a set comes or goes, only what belongs to it has another first set. */
export function setsInOrder(sets: readonly string[], key: string): readonly string[] {
  if (sets.length === 1) return sets;
  const hash = hash32(key);
  const rank = new Map(sets.map((set) => [set, mix32(hash ^ setHashOf(set))]));
  return [...rank.keys()].sort((a, b) => rank.get(b)! - rank.get(a)!);
}
