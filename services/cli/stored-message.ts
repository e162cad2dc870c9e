// A message as the admin API hands it out: the bytes of an apache.rocketmq.v2.Message, and its lines for people.
import { methodDefinition } from '@fulmar/runtime/protos.ts';

export interface StoredMessage {
  readonly userProperties: Readonly<Record<string, string>>;
  readonly systemProperties: {
    readonly tag?: string;
    readonly keys: readonly string[];
    readonly messageGroup?: string;
    readonly liteTopic?: string;
  } | null;
  readonly body: Buffer;
}

/** The message behind these bytes, read by the one RPC whose frames are messages. */
export function messageIn(bytes: Buffer): StoredMessage {
  const length: number[] = [];
  let left = bytes.length;
  for (; left > 0x7f; left = Math.floor(left / 128)) length.push((left & 0x7f) | 0x80);
  const frame = Buffer.concat([Buffer.from([0x12, ...length, left]), bytes]);
  const { responseDeserialize } = methodDefinition<unknown, { message: StoredMessage }>(
    'apache.rocketmq.v2.MessagingService',
    'ReceiveMessage',
  );
  return responseDeserialize(frame).message;
}

export function propertyLines({ userProperties, systemProperties }: StoredMessage): [string, string][] {
  return [
    ['Tag', systemProperties?.tag ?? '-'],
    ['Keys', systemProperties?.keys.join(', ') || '-'],
    ...Object.entries(userProperties).map(([key, value]): [string, string] => ['Property', `${key}=${value}`]),
  ];
}
