// What Fulmar promises to the official clients about priorities, unmodified and with the settings that they have by
// themselves. FULMAR_MATRIX_LANGUAGES narrows the languages.
import { describe, expect, test } from '@jest/globals';
import { languagesWith } from './clients-languages.ts';
import { bodiesOf, clientMatrix, expectCleanEnd, SCENARIO_MS } from './clients-matrix.ts';
import type { Outcome } from './clients-program.ts';

const MESSAGES = 20;
const PRIORITIES = 5;
const PATIENCE_S = 90;
const { start, fulmar } = clientMatrix();

function prioritiesOf(outcome: Outcome): number[] {
  return bodiesOf(outcome).map((body) => 1 + (Number(body.split('-')[1]) % PRIORITIES));
}

describe.each(languagesWith('priority'))('messages to which the $name client gives a priority', (language) => {
  async function play() {
    const topic = `ranks-${language.name}`;
    await fulmar('topic', 'create', topic, '--type', 'priority');
    await fulmar('group', 'create', topic, '--from', 'earliest');
    const sent = { topic, count: MESSAGES, prefix: 'rank', priorities: PRIORITIES };
    const sending = await start(language, 'produce', sent).finished;
    const reading = { topic, group: topic, expect: MESSAGES, timeout: PATIENCE_S };
    return { sending, receiving: await start(language, 'simple', reading).finished };
  }

  test(
    'reach its simple consumer in the order of their priorities',
    async () => {
      const { sending, receiving } = await play();
      expectCleanEnd(sending);
      expectCleanEnd(receiving);
      const priorities = prioritiesOf(receiving);
      expect(priorities).toHaveLength(MESSAGES);
      expect(priorities).toEqual([...priorities].sort((a, b) => b - a));
    },
    SCENARIO_MS,
  );

  test(
    'reach its push consumer, all of them and once',
    async () => {
      const topic = `ranks-push-${language.name}`;
      await fulmar('topic', 'create', topic, '--type', 'priority');
      const reading = { topic, group: topic, expect: MESSAGES, timeout: PATIENCE_S };
      const listening = start(language, 'push', reading);
      await listening.until('ready');
      const sent = { topic, count: MESSAGES, prefix: 'rank', priorities: PRIORITIES };
      expectCleanEnd(await start(language, 'produce', sent).finished);
      const receiving = await listening.finished;
      expectCleanEnd(receiving);
      const each = Array.from({ length: MESSAGES }, (_, i) => 1 + (i % PRIORITIES));
      expect(prioritiesOf(receiving).sort()).toEqual(each.sort());
    },
    SCENARIO_MS,
  );
});
