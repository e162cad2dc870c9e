// A slice of what `node tests/codecs/codecs.ts` does, with a fresh seed each time, and examples that show that the
// judge of bytes and the comparison can fail.
import { randomInt } from 'node:crypto';
import { ProtobufReader } from '@fulmar/core/protobuf.ts';
import { decodeCall } from '@fulmar/runtime/data-plane/decode-call.ts';
import { decodeReply } from '@fulmar/runtime/data-plane/decode-reply.ts';
import { encodeCall } from '@fulmar/runtime/data-plane/encode-call.ts';
import { CALL_FIELD, REPLY_FIELD } from '@fulmar/runtime/data-plane/messages.ts';
import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../simulation/random.ts';
import { agree, Disagreement } from './codec-case.ts';
import { CODEC_CASES, CodecRun } from './codec-run.ts';
import { randomMessage } from './generated-message.ts';
import { mutated } from './mutated-bytes.ts';
import { plain, typeNamed } from './schema.ts';
import { judge } from './wire-judge.ts';

const SLICE_MS = 10_000;
const RULES = { opaque: new Set<string>(), texts: () => true };

describe('codecs written by hand', () => {
  test(
    'read and write what protobufjs does, and refuse what is malformed, for messages made and damaged by chance',
    () => {
      const seed = randomInt(2 ** 31);
      process.stderr.write(`codecs: seed ${seed}\n`);
      const run = new CodecRun(seed);
      const endMs = performance.now() + SLICE_MS;
      while (performance.now() < endMs) run.round();
      for (const { valid } of run.counts) expect(valid).toBeGreaterThan(20);
      const fates = run.counts.map(({ damaged }) => damaged);
      expect(fates.some((fate) => fate['read the same'] > 0 && fate.refused > 0)).toBe(true);
    },
    6 * SLICE_MS,
  );

  test('are all of the hot calls and answers', () => {
    const names = CODEC_CASES.map(({ name }) => name).join('\n');
    for (const hot of ['SendMessage', 'ReceiveMessage', 'AckMessage', 'ChangeInvisibleDuration']) {
      expect(names).toContain(`${hot}Request`);
      expect(names).toContain(`${hot}Response`);
    }
    expect(names).toContain('Call of the data plane');
    expect(names).toContain('Result of the data plane');
  });

  test('of the data plane are met with every call and every result', () => {
    const random = new SeededRandom(1);
    const seen = new Set<string>();
    for (let i = 0; i < 1_000; i++) {
      for (const name of ['Call', 'Result']) {
        for (const field of Object.keys(randomMessage(random, typeNamed(`fulmar.v1.${name}`))))
          seen.add(`${name}.${field}`);
      }
    }
    const fields = ['Call', 'Result'].flatMap((name) =>
      typeNamed(`fulmar.v1.${name}`).fieldsArray.map((field) => `${name}.${field.name}`),
    );
    expect([...seen].sort()).toEqual(fields.sort());
    expect(fields).toHaveLength(Object.keys(CALL_FIELD).length + Object.keys(REPLY_FIELD).length + 2);
  });

  test('pass over fields that only a newer version of a call has', () => {
    const later = Buffer.from([0x1a, 1, 0x78, 0x22, 1, 0x78]);
    for (const name of ['deleteSubscription', 'peekPriority', 'stepDown', 'showTransaction', 'lag'] as const) {
      const content = Buffer.concat([Buffer.from([0x0a, 1, 0x67]), later]);
      const tag = (CALL_FIELD[name] << 3) | 2;
      const head = tag < 0x80 ? [tag] : [(tag & 0x7f) | 0x80, tag >>> 7];
      const call = Buffer.concat([Buffer.from([0x08, 1, ...head, content.length]), content]);
      expect(decodeCall(new ProtobufReader(call)).call).toMatchObject({ method: name });
    }
  });

  test('keep to 32 bits what the proto says has them, however long it is written', () => {
    const long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    const joined = Buffer.from([0x08, 1, 0xa2, 0x04, 13, 0x08, 1, 0x12, long.length, ...long]);
    expect(decodeReply(new ProtobufReader(joined)).reply).toEqual({ kind: 'joined', queues: [-1] });
    const placement = { name: 't', type: 'normal' as const, queues: 1, placement: { version: 2 ** 32 - 1, sets: [] } };
    const call = { method: 'putTopic' as const, request: placement };
    expect(decodeCall(new ProtobufReader(encodeCall(1, call))).call).toEqual(call);
  });
});

describe('what the codecs are held against', () => {
  const resource = typeNamed('apache.rocketmq.v2.Resource');
  const verdictOf = (...bytes: readonly number[]) => judge(resource, Buffer.from(bytes), RULES);

  test('knows malformed bytes', () => {
    expect(verdictOf(0x12, 1, 0x61)).toEqual({ malformed: undefined, ordinary: true });
    expect(verdictOf(0x12, 2, 0x61).malformed).toBe('length');
    expect(verdictOf(0x12, 1, 0xff).malformed).toBe('not UTF-8');
    expect(verdictOf(0x12).malformed).toBe('number');
    expect(verdictOf(0x02, 0).malformed).toBe('field 0');
    expect(verdictOf(0x1e).malformed).toBe('wire type');
    expect(verdictOf(0x1b, 0x24).malformed).toBe('group');
  });

  test('knows what decoders may read in different ways', () => {
    expect(verdictOf(0x10, 1)).toEqual({ malformed: undefined, ordinary: false });
    expect(verdictOf(0x1b, 0x1c)).toEqual({ malformed: undefined, ordinary: false });
  });

  test('notices one changed value', () => {
    const bytes = resource.encode({ name: 'a' }).finish();
    expect(() => agree('name', plain(resource, bytes), { name: 'a' })).not.toThrow();
    expect(() => agree('name', plain(resource, bytes), { name: 'b' })).toThrow(Disagreement);
  });

  test('damages bytes, and does so again from the same seed', () => {
    const bytes = Buffer.from('a message of some bytes');
    const seeds = Array.from({ length: 100 }, (_, seed) => seed);
    const [once, again] = [1, 2].map(() => seeds.map((seed) => mutated(bytes, new SeededRandom(seed)).toString('hex')));
    expect(once).toEqual(again);
    // A letter may be replaced by itself.
    expect(new Set(once).size).toBeGreaterThan(70);
  });
});
