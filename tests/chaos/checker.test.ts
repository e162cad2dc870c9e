// The checker finds each thing that must not be in a history in which it happens, and nothing in one without it.
import { describe, expect, test } from '@jest/globals';
import { type ConsumerGroup, type Evidence, judge, type Verdict } from './checker.ts';
import type { AckEvent, DeliverEvent, HistoryEvent, SendEvent, StoredMessage } from './history.ts';

const READERS: ConsumerGroup = {
  name: 'readers',
  topic: 'letters',
  fifo: false,
  invisibleMs: 10_000,
  maxAttempts: 16,
  showsAcks: true,
};
const ORDERED: ConsumerGroup = { ...READERS, name: 'ordered', fifo: true };

function send(atMs: number, key: string, state: SendEvent['state'], sequence?: number): SendEvent {
  const line = sequence === undefined ? {} : { group: 'line', sequence };
  return { event: 'send', atMs, client: 'p', topic: 'letters', key, state, ...line };
}

function deliver(atMs: number, key: string, attempt = 1, group = READERS): DeliverEvent {
  const about = { topic: 'letters', consumerGroup: group.name, key, messageId: `id-${key}` };
  return { event: 'deliver', atMs, client: 'c', attempt, ...about };
}

function ack(atMs: number, key: string, state: AckEvent['state'], group = READERS, attempt = 1): AckEvent {
  return { ...deliver(atMs, key, attempt, group), event: 'ack', state };
}

const stored = (key: string, messageId = `id-${key}`, set = 1): StoredMessage => ({
  topic: 'letters',
  key,
  messageId,
  set,
});

/** A message from its sending to its acknowledgement, without any trouble. */
function whole(atMs: number, key: string, sequence?: number, group = READERS): HistoryEvent[] {
  return [
    send(atMs, key, 'invoke', sequence),
    send(atMs + 5, key, 'ok', sequence),
    deliver(atMs + 6, key, 1, group),
    ack(atMs + 7, key, 'invoke', group),
    ack(atMs + 8, key, 'ok', group),
  ];
}

function verdictsOf(evidence: Partial<Evidence>): Verdict[] {
  const nothing: Evidence = { events: [], stored: [], groups: [READERS], windows: [], stuck: [] };
  return judge({ ...nothing, ...evidence }).violations.map(({ verdict }) => verdict);
}

const IN_ORDER = { groups: [ORDERED], stored: [stored('a'), stored('b')] };

describe('nothing is found', () => {
  test('where every message is sent, delivered and acknowledged once', () => {
    const events = [...whole(0, 'a'), ...whole(10, 'b')];
    expect(verdictsOf({ events, stored: [stored('a'), stored('b')] })).toEqual([]);
    expect(verdictsOf({ ...IN_ORDER, events: [...whole(0, 'a', 0, ORDERED), ...whole(10, 'b', 1, ORDERED)] })).toEqual(
      [],
    );
  });

  test('where a send without an answer is missing, or there after all', () => {
    const events = [send(0, 'a', 'invoke'), send(9, 'a', 'unknown'), send(20, 'b', 'invoke')];
    expect(verdictsOf({ events })).toEqual([]);
    expect(verdictsOf({ events: [...events, deliver(30, 'a')], stored: [stored('a')] })).toEqual([]);
    expect(judge({ events, stored: [stored('a')], groups: [READERS], windows: [], stuck: [] })).toMatchObject({
      unknown: 2,
      unknownStored: 1,
    });
  });

  test('where a message comes again because its lease ran out, or because of a fault', () => {
    const events = [...whole(0, 'a').slice(0, 3), deliver(10_020, 'a', 2), ack(10_021, 'a', 'ok')];
    expect(verdictsOf({ events, stored: [stored('a')] })).toEqual([]);
    const early = [...whole(0, 'a').slice(0, 3), deliver(500, 'a', 1), ack(510, 'a', 'ok')];
    const windows = [{ fault: 'kill-master', fromMs: 100, toMs: 300 }];
    expect(verdictsOf({ events: early, stored: [stored('a')], windows })).toEqual([]);
  });

  test('where a message comes again early because its consumer asked for it', () => {
    const { topic, consumerGroup, key } = deliver(0, 'a');
    const refused: HistoryEvent = { event: 'refuse', atMs: 20, client: 'c', topic, consumerGroup, key };
    const again = [deliver(60, 'a', 2), ack(61, 'a', 'ok')];
    expect(verdictsOf({ events: [...whole(0, 'a').slice(0, 3), refused, ...again], stored: [stored('a')] })).toEqual(
      [],
    );
    const twice = [...whole(0, 'a').slice(0, 3), refused, deliver(60, 'a', 2), deliver(90, 'a', 3)];
    expect(verdictsOf({ events: twice, stored: [stored('a')] })).toEqual(['overlap']);
  });

  test('where a late acknowledgement is refused while the one that counts is on its way', () => {
    const again = [deliver(10_020, 'a', 2, ORDERED), ack(10_021, 'a', 'invoke', ORDERED)];
    const both = [...again, ack(10_022, 'a', 'invoke', ORDERED, 2), ack(10_023, 'a', 'fail', ORDERED)];
    const events = [
      ...[...whole(0, 'a', 0, ORDERED).slice(0, 3), ...whole(3, 'b', 1, ORDERED).slice(0, 2), ...both],
      ...[deliver(10_024, 'b', 1, ORDERED), ack(10_025, 'a', 'ok', ORDERED, 2), ack(10_026, 'b', 'ok', ORDERED)],
    ];
    expect(verdictsOf({ ...IN_ORDER, events })).toEqual([]);
    const refusedToo = [...events.slice(0, -3), ack(10_024, 'a', 'fail', ORDERED, 2), deliver(10_025, 'b', 1, ORDERED)];
    expect(verdictsOf({ ...IN_ORDER, events: refusedToo })).toEqual(['order']);
  });

  test('where a send was repeated while its set was away, and both sets have the message', () => {
    const events = [...whole(0, 'a'), deliver(400, 'a'), ack(401, 'a', 'ok')];
    const twice = { events, stored: [stored('a'), stored('a', 'id-a', 2)] };
    const windows = [{ fault: 'kill-all', fromMs: 1, toMs: 300 }];
    expect(verdictsOf({ ...twice, windows })).toEqual([]);
    expect(verdictsOf(twice)).toEqual(['doubled in the log', 'returned after ack', 'overlap']);
    const ordered = whole(0, 'a', 0, ORDERED);
    const both = { groups: [ORDERED], events: ordered, stored: twice.stored, windows };
    expect(verdictsOf(both)).toEqual(['doubled in the log']);
    expect(verdictsOf({ ...twice, stored: [stored('a'), stored('a')], windows })).toContain('doubled in the log');
  });

  test('where the answer of an older lease comes late', () => {
    const events = [
      ...whole(0, 'a').slice(0, 2),
      deliver(20_000, 'a', 2),
      ack(20_001, 'a', 'ok', READERS, 2),
      deliver(20_002, 'a', 1),
    ];
    expect(verdictsOf({ events, stored: [stored('a')] })).toEqual([]);
  });

  test('where an ordered message follows one whose send had no answer, or whose acknowledgement had none', () => {
    const unanswered = [send(0, 'a', 'invoke', 0), send(9, 'a', 'unknown', 0), ...whole(10, 'b', 1, ORDERED)];
    expect(verdictsOf({ ...IN_ORDER, events: [...unanswered, deliver(30, 'a', 1, ORDERED)] })).toEqual([]);
    const lostAnswer = whole(0, 'a', 0, ORDERED).slice(0, 4);
    const events = [...lostAnswer, ack(9, 'a', 'unknown', ORDERED), ...whole(10, 'b', 1, ORDERED)];
    expect(verdictsOf({ ...IN_ORDER, events })).toEqual([]);
  });
});

describe('found is', () => {
  test('lost: answered OK and not in the log', () => {
    expect(verdictsOf({ events: whole(0, 'a') })).toEqual(['lost']);
  });

  test('lost: in the log and never delivered to a group', () => {
    const events = [send(0, 'a', 'invoke'), send(1, 'a', 'ok')];
    expect(verdictsOf({ events, stored: [stored('a')] })).toEqual(['lost']);
  });

  test('forged: in the log or delivered, and never sent', () => {
    expect(verdictsOf({ stored: [stored('a')] })).toEqual(['forged']);
    expect(verdictsOf({ events: [deliver(0, 'a')] })).toEqual(['forged']);
  });

  test('forged: in the log, although the send surely failed', () => {
    const events = [send(0, 'a', 'invoke'), send(1, 'a', 'fail')];
    expect(verdictsOf({ events, stored: [stored('a')] })).toEqual(['forged']);
  });

  test('doubled: one message at two places of the log', () => {
    expect(verdictsOf({ events: whole(0, 'a'), stored: [stored('a'), stored('a')] })).toEqual(['doubled in the log']);
    const twoIds = [stored('a'), stored('a', 'another')];
    expect(verdictsOf({ events: whole(0, 'a'), stored: twoIds })).toEqual(['doubled in the log']);
  });

  test.each([1, 2])('returned: delivered as attempt %d after an acknowledgement was answered OK', (attempt) => {
    const events = [...whole(0, 'a'), deliver(30_000, 'a', attempt)];
    expect(verdictsOf({ events, stored: [stored('a')] })).toEqual(['returned after ack']);
  });

  test('overlap: delivered again while a lease ran, and nothing had happened', () => {
    const events = [...whole(0, 'a').slice(0, 3), deliver(500, 'a', 2), ack(501, 'a', 'ok', READERS, 2)];
    expect(verdictsOf({ events, stored: [stored('a')] })).toEqual(['overlap']);
  });

  test('overlap: in an ordered group no fault excuses it', () => {
    const events = [...whole(0, 'a', 0, ORDERED).slice(0, 3), deliver(500, 'a', 2, ORDERED)];
    const windows = [{ fault: 'kill-master', fromMs: 100, toMs: 300 }];
    expect(verdictsOf({ groups: [ORDERED], stored: [stored('a')], events, windows })).toEqual(['overlap']);
  });

  test('order: delivered while the one before is not settled, or its acknowledgement was refused', () => {
    const both = [...whole(0, 'a', 0, ORDERED).slice(0, 3), ...whole(10, 'b', 1, ORDERED)];
    expect(verdictsOf({ ...IN_ORDER, events: both })).toEqual(['order']);
    const refused = whole(0, 'a', 0, ORDERED).slice(0, 4);
    const events = [...refused, ack(9, 'a', 'fail', ORDERED), ...whole(10, 'b', 1, ORDERED)];
    expect(verdictsOf({ ...IN_ORDER, events })).toEqual(['order']);
  });

  test('order: an older message comes after a newer one', () => {
    const answers = [...whole(0, 'a', 0, ORDERED).slice(0, 2), ...whole(10, 'b', 1, ORDERED).slice(0, 2)];
    const events = [...answers, deliver(20, 'b', 1, ORDERED), deliver(30, 'a', 1, ORDERED)];
    expect(verdictsOf({ ...IN_ORDER, events })).toEqual(['order', 'order']);
  });

  test('attempts: beyond the limit, and in an ordered group the same one twice', () => {
    const beyond = [...whole(0, 'a').slice(0, 2), deliver(10, 'a', 17)];
    expect(verdictsOf({ events: beyond, stored: [stored('a')] })).toEqual(['attempts']);
    const twice = [...whole(0, 'a', 0, ORDERED).slice(0, 3), deliver(20_000, 'a', 1, ORDERED)];
    expect(verdictsOf({ groups: [ORDERED], stored: [stored('a')], events: twice })).toEqual(['attempts']);
  });

  test('stuck: what the drain could not bring to an end', () => {
    expect(verdictsOf({ stuck: ['readers has 3 messages of letters left'] })).toEqual(['stuck']);
  });
});
