import { createHash } from 'node:crypto';
import { LIMITS } from '@fulmar/core/limits.ts';
import { ProtobufError, ProtobufWriter } from '@fulmar/core/protobuf.ts';
import { methodDefinition } from '@fulmar/runtime/protos.ts';
import { describe, expect, test } from '@jest/globals';
import type { LogManifest } from '../log/log.ts';
import type { DataReply, FetchRequest, FollowReply, FollowRequest } from '../replication/messages.ts';
import {
  decodeContent,
  decodeDescription,
  decodeFileRange,
  decodeFollowReply,
  decodeFollowRequest,
  decodeManifest,
  decodeRecordRange,
  encodeContent,
  encodeDescription,
  encodeFileRange,
  encodeFollowReply,
  encodeFollowRequest,
  encodeManifest,
  encodeRecordRange,
} from './replication-codec.ts';

const SERVICE = 'fulmar.v1.Replication';
const FAR = Number.MAX_SAFE_INTEGER;

const FETCH: FetchRequest = {
  kind: 'fetch',
  clusterId: 'cluster-1',
  set: 'set-0',
  replica: 'replica-ä',
  storeUid: '0123456789abcdef',
  address: 'broker-0-1.brokers:10912',
  version: '0.1.0',
  epoch: 7,
  position: FAR,
  lastEpoch: 6,
  stored: 4_294_967_296,
};
const REQUESTS: readonly FollowRequest[] = [
  FETCH,
  { ...FETCH, clusterId: '', set: '', epoch: 0, position: 0, lastEpoch: 0, stored: 0 },
  { kind: 'stored', stored: 0 },
  { kind: 'stored', stored: FAR },
];

const frames = [Buffer.alloc(100, 1), Buffer.alloc(0), Buffer.alloc(70_000, 2)];
const DATA: DataReply = { kind: 'data', epoch: 7, position: 300, frames, commitPosition: 200 };
const REPLIES: readonly FollowReply[] = [
  DATA,
  { ...DATA, frames: [], position: FAR, commitPosition: FAR },
  { kind: 'data', epoch: 0, position: 0, frames: [Buffer.from('x')], commitPosition: 0 },
  { kind: 'diverged', epoch: 3, end: 1_000, position: 2_000, lastEpoch: 4 },
  { kind: 'diverged', epoch: 0, end: 0, position: 0, lastEpoch: 0 },
  { kind: 'refused', reason: 'not-leader', epoch: 9, text: 'Ask replica-1.' },
  { kind: 'refused', reason: 'fenced', epoch: 0, text: '' },
  { kind: 'refused', reason: 'snapshot-needed', epoch: 1, text: 'x' },
  { kind: 'refused', reason: 'foreign', epoch: 1, text: 'x' },
];

/** As it comes off the wire: all records in one piece. */
function joined(reply: FollowReply): FollowReply {
  if (reply.kind !== 'data' || reply.frames.length === 0) return reply;
  return { ...reply, frames: [Buffer.concat(reply.frames)] };
}

const MANIFEST: LogManifest = {
  snapshotPosition: 123_456,
  files: [
    { name: '00000000000000000000.log', bytes: 67_108_864 },
    { name: 'state.snapshot', bytes: 0 },
  ],
};

function whole(bytes: Buffer, direction: 'request' | 'response', method: string): Buffer {
  const definition = methodDefinition<object, object>(SERVICE, method);
  return direction === 'request'
    ? definition.requestSerialize(definition.requestDeserialize(bytes))
    : definition.responseSerialize(definition.responseDeserialize(bytes));
}

describe('what replicas say', () => {
  test.each(REQUESTS)('a request arrives as it was sent: $kind', (request) => {
    expect(decodeFollowRequest(encodeFollowRequest(request))).toEqual(request);
  });

  test.each(REPLIES)('a reply arrives as it was sent: $kind', (reply) => {
    expect(decodeFollowReply(encodeFollowReply(reply))).toEqual(joined(reply));
  });

  test('questions and answers arrive as they were sent', () => {
    expect(decodeManifest(encodeManifest(MANIFEST))).toEqual(MANIFEST);
    expect(decodeManifest(encodeManifest(undefined))).toBeUndefined();
    expect(decodeManifest(encodeManifest({ snapshotPosition: 0, files: [] }))).toEqual({
      snapshotPosition: 0,
      files: [],
    });
    const range = { name: 'a.log', offset: FAR, length: LIMITS.replicationPartBytes };
    expect(decodeFileRange(encodeFileRange(range))).toEqual(range);
    const record = { position: FAR, length: LIMITS.recordBytes };
    expect(decodeRecordRange(encodeRecordRange(record))).toEqual(record);
    expect(decodeContent(encodeContent(Buffer.from('content')))).toEqual(Buffer.from('content'));
    expect(decodeContent(encodeContent(undefined))).toHaveLength(0);
    const description = { setRecord: '{"epoch":4}', role: 'leader', epoch: 4 };
    expect(decodeDescription(encodeDescription(description))).toEqual(description);
  });

  test('is what the proto says', () => {
    for (const request of REQUESTS) {
      expect(decodeFollowRequest(whole(encodeFollowRequest(request), 'request', 'Follow'))).toEqual(request);
    }
    for (const reply of REPLIES) {
      expect(decodeFollowReply(whole(encodeFollowReply(reply), 'response', 'Follow'))).toEqual(joined(reply));
    }
    expect(decodeManifest(whole(encodeManifest(MANIFEST), 'response', 'Manifest'))).toEqual(MANIFEST);
    const range = { name: 'a.log', offset: 5, length: 6 };
    expect(decodeFileRange(whole(encodeFileRange(range), 'request', 'ReadFile'))).toEqual(range);
    const record = { position: 5, length: 6 };
    expect(decodeRecordRange(whole(encodeRecordRange(record), 'request', 'ReadRecord'))).toEqual(record);
    const content = Buffer.from('content');
    for (const method of ['ReadFile', 'ReadRecord']) {
      expect(decodeContent(whole(encodeContent(content), 'response', method))).toEqual(content);
    }
    const description = { setRecord: '{}', role: 'follower', epoch: 1 };
    expect(decodeDescription(whole(encodeDescription(description), 'response', 'Describe'))).toEqual(description);
  });

  test('has not changed, byte by byte', () => {
    const all = createHash('sha256');
    for (const request of REQUESTS) all.update(encodeFollowRequest(request));
    for (const reply of REPLIES) all.update(encodeFollowReply(reply));
    all.update(encodeManifest(MANIFEST));
    expect(all.digest('hex')).toBe('cd70bde458f183413d5a271cf651e0391ef7c0d2c394316e01ab48cc96539469');
    expect(encodeFollowReply({ ...DATA, frames: [Buffer.from('ab')] }).toString('hex')).toBe(
      '0a0c080710ac0218c80122026162',
    );
  });

  test('may have fields that a newer version has added', () => {
    const newer = new ProtobufWriter().raw(encodeFollowRequest(FETCH)).string(99, 'new').varint(98, 5).finish();
    expect(decodeFollowRequest(newer)).toEqual(FETCH);
  });
});

describe('records', () => {
  test('are not copied on their way out of a message', () => {
    const bytes = encodeFollowReply(DATA);
    const reply = decodeFollowReply(bytes) as DataReply;
    expect(reply.frames[0]!.buffer).toBe(bytes.buffer);
  });

  test('are a copy in the message: what becomes of the sender’s memory does not matter', () => {
    const frame = Buffer.from('before');
    const bytes = encodeFollowReply({ ...DATA, frames: [frame] });
    frame.write('after!');
    expect((decodeFollowReply(bytes) as DataReply).frames[0]!.toString()).toBe('before');
  });

  test('of the largest size pass behind a full batch, and no more', () => {
    const full = [Buffer.alloc(LIMITS.replicationBatchBytes), Buffer.alloc(LIMITS.recordBytes)];
    const bytes = encodeFollowReply({ ...DATA, frames: full });
    expect(bytes.length).toBeLessThan(LIMITS.replicationMessageBytes);
    expect((decodeFollowReply(bytes) as DataReply).frames[0]).toHaveLength(full[0]!.length + full[1]!.length);
    expect(() => encodeFollowReply({ ...DATA, frames: [...full, Buffer.alloc(1)] })).toThrow('do not fit');
    const content = Buffer.alloc(full[0]!.length + full[1]!.length + 1);
    const larger = new ProtobufWriter().content(4, content).finish();
    expect(() => decodeFollowReply(new ProtobufWriter().content(1, larger).finish())).toThrow(ProtobufError);
  });
});

describe('what no replica says', () => {
  const inside = (field: number, content: ProtobufWriter) =>
    new ProtobufWriter().content(field, content.finish()).finish();
  const refused: readonly (readonly [string, () => unknown])[] = [
    ['an empty request', () => decodeFollowRequest(Buffer.alloc(0))],
    ['an empty reply', () => decodeFollowReply(Buffer.alloc(0))],
    ['a request of an unknown kind', () => decodeFollowRequest(inside(9, new ProtobufWriter()))],
    ['a reason that is not known', () => decodeFollowReply(inside(3, new ProtobufWriter().varint(1, 5)))],
    ['no reason', () => decodeFollowReply(inside(3, new ProtobufWriter()))],
    ['a negative position', () => decodeFollowRequest(inside(2, new ProtobufWriter().varint(1, -1)))],
    [
      'a position that is no safe integer',
      () => decodeFollowRequest(inside(2, new ProtobufWriter().varint(1, FAR + 1))),
    ],
    ['more stored than written', () => decodeFollowRequest(encodeFollowRequest({ ...FETCH, position: 1, stored: 2 }))],
    ['a name beyond its bound', () => decodeFollowRequest(encodeFollowRequest({ ...FETCH, set: 'x'.repeat(257) }))],
    [
      'a path in a manifest',
      () => decodeManifest(encodeManifest({ ...MANIFEST, files: [{ name: '../a', bytes: 1 }] })),
    ],
    ['a hidden file', () => decodeFileRange(encodeFileRange({ name: '.a', offset: 0, length: 1 }))],
    ['a file without a name', () => decodeFileRange(encodeFileRange({ name: '', offset: 0, length: 1 }))],
    ['no bytes of a file', () => decodeFileRange(encodeFileRange({ name: 'a', offset: 0, length: 0 }))],
    [
      'too much of a file',
      () => decodeFileRange(encodeFileRange({ name: 'a', offset: 0, length: LIMITS.replicationPartBytes + 1 })),
    ],
    ['a record that is too large', () => decodeRecordRange(encodeRecordRange({ position: 0, length: 7_000_000 }))],
    [
      'too many files',
      () =>
        decodeManifest(
          encodeManifest({
            snapshotPosition: 0,
            files: Array.from({ length: LIMITS.manifestFiles + 1 }, () => ({ name: 'a', bytes: 1 })),
          }),
        ),
    ],
  ];

  test.each(refused)('is refused: %s', (_what, read) => {
    expect(read).toThrow(ProtobufError);
  });

  test('a long refusal is cut, whatever its letters are', () => {
    const reply = { kind: 'refused', reason: 'fenced', epoch: 1, text: '語'.repeat(5_000) } as const;
    const read = decodeFollowReply(encodeFollowReply(reply));
    expect(read).toMatchObject({ reason: 'fenced', text: expect.stringMatching(/^語{300,}$/) });
  });

  test('never does more than throw ProtobufError, nor gives values out of bounds', () => {
    const random = randomBytes(1);
    const samples = [
      ...REQUESTS.map(encodeFollowRequest),
      ...REPLIES.map((reply) => encodeFollowReply(reply).subarray(0, 200)),
      encodeManifest(MANIFEST),
      encodeFileRange({ name: 'a.log', offset: 5, length: 6 }),
      encodeRecordRange({ position: 5, length: 6 }),
      encodeDescription({ setRecord: '{}', role: 'x', epoch: 1 }),
    ];
    const readers = [
      decodeFollowRequest,
      decodeFollowReply,
      decodeManifest,
      decodeFileRange,
      decodeRecordRange,
      decodeContent,
      decodeDescription,
    ];
    let refusals = 0;
    let values = 0;
    for (let round = 0; round < 10_000; round++) {
      const sample = samples[random() % samples.length]!;
      const bytes = Buffer.from(
        sample.subarray(0, random() % 4 === 0 ? random() % (sample.length + 1) : sample.length),
      );
      for (let changes = random() % 4; changes > 0 && bytes.length > 0; changes--)
        bytes[random() % bytes.length] = random();
      for (const read of readers) {
        try {
          expectInBounds(read(bytes));
          values++;
        } catch (error) {
          if (!(error instanceof ProtobufError)) throw error;
          refusals++;
        }
      }
    }
    expect(refusals).toBeGreaterThan(3_000);
    expect(values).toBeGreaterThan(3_000);
  });
});

function expectInBounds(value: unknown): void {
  if (typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0)) throw new Error(`${value} came out`);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return;
  for (const part of Object.values(value)) expectInBounds(part);
}

/** Numbers below 2^16 that repeat from run to run. */
function randomBytes(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 16;
  };
}
