// The message that `fulmar send` makes from its arguments, as official clients would make it.
import { createHash } from 'node:crypto';
import { MESSAGE_TYPE } from '@fulmar/core/broker-api.ts';
import { parseDuration } from '@fulmar/core/quantities.ts';
import { systemClock, systemRandom } from '@fulmar/runtime/clock.ts';
import type { Values } from './arguments.ts';
import { UsageError } from './command.ts';

const IDENTITY = 1;
const DIGEST_MD5 = 2;
const IDS_BEGIN_MS = Date.UTC(2021, 0, 1);

export function messageToSend(topic: object, body: Buffer, values: Values): object {
  const nowMs = systemClock.wallMs();
  const group = values.text('message-group');
  const liteTopic = values.text('lite-topic');
  const deliverAtMs = deliverAt(values, nowMs);
  const priority = values.number('priority');
  const types = [
    ...(group === undefined ? [] : [MESSAGE_TYPE.fifo]),
    ...(deliverAtMs === undefined ? [] : [MESSAGE_TYPE.delay]),
    ...(priority === undefined ? [] : [MESSAGE_TYPE.priority]),
    ...(liteTopic === undefined ? [] : [MESSAGE_TYPE.lite]),
  ];
  if (types.length > 1) {
    throw new UsageError(
      'A message has one of --message-group, --priority, --lite-topic and a time. Give one of them.',
    );
  }
  const [type = MESSAGE_TYPE.normal] = types;
  return {
    topic,
    userProperties: propertiesOf(values.list('property')),
    systemProperties: {
      ...(values.has('tag') ? { tag: values.text('tag') } : {}),
      ...(group === undefined ? {} : { messageGroup: group }),
      ...(liteTopic === undefined ? {} : { liteTopic }),
      ...(deliverAtMs === undefined ? {} : { deliveryTimestamp: timestamp(deliverAtMs) }),
      ...(priority === undefined ? {} : { priority }),
      keys: values.list('key'),
      messageId: newMessageId(nowMs),
      bodyDigest: { type: DIGEST_MD5, checksum: createHash('md5').update(body).digest('hex').toUpperCase() },
      bodyEncoding: IDENTITY,
      messageType: type,
      bornTimestamp: timestamp(nowMs),
      bornHost: 'fulmar',
    },
    body,
  };
}

/** Undefined for a message that is to be delivered at once. */
function deliverAt(values: Values, nowMs: number): number | undefined {
  const [delay, at] = [values.text('delay'), values.text('at')];
  if (delay !== undefined && at !== undefined) throw new UsageError('Give --delay or --at, not both.');
  if (at !== undefined) return momentOf(at);
  if (delay === undefined) return undefined;
  const delayMs = parseDuration(delay);
  if (delayMs === undefined)
    throw new UsageError(`--delay cannot be "${delay}". Give a time with its unit: 30s, 10m, 2h.`);
  return nowMs + delayMs;
}

function momentOf(text: string): number {
  const atMs = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs) || atMs < 0) {
    throw new UsageError(`--at cannot be "${text}". Give a date and time: 2026-12-24T18:00:00Z, without Z local time.`);
  }
  return atMs;
}

export function propertiesOf(given: readonly string[]): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const text of given) {
    const equals = text.indexOf('=');
    if (equals < 1) throw new UsageError(`--property cannot be "${text}". Write NAME=VALUE.`);
    properties[text.slice(0, equals)] = text.slice(equals + 1);
  }
  return properties;
}

function timestamp(ms: number): { readonly seconds: number; readonly nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}

/** 34 hex digits: version 1, a random machine and process, seconds since 2021, a random number. */
function newMessageId(nowMs: number): string {
  const id = Buffer.alloc(17);
  id[0] = 1;
  id.writeUInt32BE(systemRandom.uint32(), 1);
  id.writeUInt32BE(systemRandom.uint32(), 5);
  id.writeUInt32BE(Math.floor((nowMs - IDS_BEGIN_MS) / 1000) >>> 0, 9);
  id.writeUInt32BE(systemRandom.uint32(), 13);
  return id.toString('hex').toUpperCase();
}
