// What Fulmar promises to the official clients about choosing by tag, batches, order in simple consumers, and messages
// that a simple consumer puts off; unmodified and with the settings that they have by themselves.
// FULMAR_MATRIX_LANGUAGES narrows the languages.
import { describe, expect, test } from '@jest/globals';
import { languagesWith } from './clients-languages.ts';
import { bodiesOf, clientMatrix, expectCleanEnd, numbered, SCENARIO_MS } from './clients-matrix.ts';

const PATIENCE_S = 200;
const { start, fulmar } = clientMatrix();
const simpleLanguages = languagesWith('simple consumer');

const choosing = [
  ...languagesWith('push consumer').map((language) => ({ name: language.name, kind: 'push', language })),
  ...simpleLanguages.map((language) => ({ name: language.name, kind: 'simple', language })),
];

describe('a subscription with tags', () => {
  test.each(choosing)(
    'gives the $kind consumer of $name exactly the messages with one of them',
    async ({ name, kind, language }) => {
      const topic = `tags-${kind}-${name}`;
      await fulmar('topic', 'create', topic);
      await fulmar('group', 'create', topic, '--from', 'earliest');
      const reading = { topic, group: topic, tag: 'apple || plum', expect: 20, timeout: PATIENCE_S, linger: 2 };
      const listening = start(language, kind, reading);
      await listening.until('ready');
      for (const tag of ['apple', 'pear', 'plum']) {
        expectCleanEnd(await start(language, 'produce', { topic, count: 10, prefix: tag, tag }).finished);
      }
      const receiving = await listening.finished;
      expectCleanEnd(receiving);
      expect(bodiesOf(receiving).sort()).toEqual([...numbered('apple', 10), ...numbered('plum', 10)]);
    },
    SCENARIO_MS,
  );
});

describe('messages of one message group', () => {
  test.each(simpleLanguages)(
    'reach the simple consumer of $name in the order in which it sent them',
    async (language) => {
      const topic = `in-turn-${language.name}`;
      await fulmar('topic', 'create', topic, '--type', 'fifo');
      await fulmar('group', 'create', topic, '--fifo', '--from', 'earliest');
      const sent = { topic, count: 40, prefix: 'turn', 'group-key': 'one' };
      expectCleanEnd(await start(language, 'produce', sent).finished);
      const reading = { topic, group: topic, expect: 40, timeout: PATIENCE_S };
      const receiving = await start(language, 'simple', reading).finished;
      expectCleanEnd(receiving);
      expect(bodiesOf(receiving)).toEqual(numbered('turn', 40));
    },
    SCENARIO_MS,
  );
});

describe('messages that are sent several a call', () => {
  test.each(languagesWith('batch'))(
    'of $name are received, all of them and once',
    async (language) => {
      const topic = `batches-${language.name}`;
      await fulmar('topic', 'create', topic);
      await fulmar('group', 'create', topic, '--from', 'earliest');
      const sent = { topic, count: 100, prefix: 'batch', batch: 16 };
      expectCleanEnd(await start(language, 'produce', sent).finished);
      const reading = { topic, group: topic, expect: 100, timeout: PATIENCE_S };
      const receiving = await start(language, 'simple', reading).finished;
      expectCleanEnd(receiving);
      expect(bodiesOf(receiving).sort()).toEqual(numbered('batch', 100).sort());
    },
    SCENARIO_MS,
  );
});

describe('a message that a simple consumer puts off', () => {
  test.each(languagesWith('put off'))(
    'comes back to the $name client as its second attempt, and the others do not',
    async (language) => {
      const topic = `put-off-${language.name}`;
      await fulmar('topic', 'create', topic);
      await fulmar('group', 'create', topic, '--from', 'earliest', '--max-attempts', '3');
      expectCleanEnd(await start(language, 'produce', { topic, count: 6, prefix: 'later' }).finished);
      const reading = { topic, group: topic, expect: 6, timeout: PATIENCE_S, linger: 4, 'fail-first-attempt': 3 };
      const receiving = await start(language, 'simple', reading).finished;
      expectCleanEnd(receiving);
      const attempts = numbered('later', 6).map((body) =>
        receiving.events
          .filter((event) => event.event === 'received' && event.body === body)
          .map(({ attempt, result }) => `${result} ${attempt}`),
      );
      expect(attempts).toEqual(attempts.map((_, i) => (i % 3 === 0 ? ['fail 1', 'ack 2'] : ['ack 1'])));
    },
    SCENARIO_MS,
  );
});
