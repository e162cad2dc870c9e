// What Fulmar promises to the official clients about transactions, unmodified and with the settings that they have by
// themselves. FULMAR_MATRIX_LANGUAGES narrows the languages.
import { describe, expect, test } from '@jest/globals';
import { type Language, languages } from './clients-languages.ts';
import { type ClientOptions, clientMatrix, expectCleanEnd, numbered, SCENARIO_MS } from './clients-matrix.ts';
import type { Outcome } from './clients-program.ts';

const COUNT = 5;
/** The server asks every two seconds here; a client on a busy machine takes its time. */
const CHECKS = ['--transaction-first-check', '2s', '--transaction-check-interval', '2s'];
const LINGER_S = 15;
const { start, fulmar } = clientMatrix(CHECKS);

function bodies({ events }: Outcome, event: 'sent' | 'asked' | 'received'): string[] {
  return events.filter((each) => each.event === event).map(({ body }) => body ?? '');
}

async function play(language: Language) {
  const topic = `deals-${language.name}`;
  await fulmar('topic', 'create', topic, '--type', 'transaction');
  const group = `${topic}-readers`;
  await fulmar('group', 'create', group, '--from', 'earliest');
  const send = (options: ClientOptions) => start(language, 'transact', { topic, count: COUNT, ...options });

  const committed = await send({ prefix: 'committed', end: 'commit', answer: 'rollback' }).finished;
  const rolledBack = await send({ prefix: 'rolled-back', end: 'rollback', answer: 'commit' }).finished;
  const asked = await send({ prefix: 'asked', end: 'none', answer: 'commit', linger: LINGER_S }).finished;
  const unsure = await send({ prefix: 'unsure', end: 'none', answer: 'unknown', linger: LINGER_S }).finished;
  // Nobody else will say anything else about these.
  for (const { transactionId } of JSON.parse(await fulmar('transaction', 'list', topic, '--json'))) {
    await fulmar('transaction', 'rollback', transactionId);
  }
  const dying = send({ prefix: 'orphaned', end: 'none', linger: 600 });
  await dying.until('done');
  await dying.stop();
  const heir = await send({ prefix: 'none', count: 0, answer: 'commit', linger: LINGER_S }).finished;
  const reading = { topic, group, expect: 3 * COUNT, timeout: 60, linger: 5 };
  const received = await start(language, 'simple', reading).finished;
  const open = JSON.parse(await fulmar('transaction', 'list', topic, '--json'));
  return { committed, rolledBack, asked, unsure, heir, received, open };
}

describe.each(languages)('transactions of the $name client', (language) => {
  let played: ReturnType<typeof play> | undefined;
  const playedOnce = () => {
    played ??= play(language);
    return played;
  };

  test(
    'are committed and rolled back, and nobody is asked about them',
    async () => {
      const { committed, rolledBack } = await playedOnce();
      for (const outcome of [committed, rolledBack]) {
        expectCleanEnd(outcome);
        expect([bodies(outcome, 'sent').length, bodies(outcome, 'asked')]).toEqual([COUNT, []]);
      }
    },
    SCENARIO_MS,
  );

  test(
    'that are not ended come back to their producer, which answers for them',
    async () => {
      const { asked } = await playedOnce();
      expectCleanEnd(asked);
      expect(new Set(bodies(asked, 'asked'))).toEqual(new Set(numbered('asked', COUNT)));
    },
    SCENARIO_MS,
  );

  test(
    'about which the producer is unsure come back again',
    async () => {
      const { unsure } = await playedOnce();
      expectCleanEnd(unsure);
      const questions = bodies(unsure, 'asked');
      for (const body of numbered('unsure', COUNT))
        expect(questions.filter((each) => each === body).length).toBeGreaterThan(1);
    },
    SCENARIO_MS,
  );

  test(
    'whose producer was killed are answered for by another producer of the topic',
    async () => {
      const { heir, open } = await playedOnce();
      expectCleanEnd(heir);
      expect(new Set(bodies(heir, 'asked'))).toEqual(new Set(numbered('orphaned', COUNT)));
      expect(open).toEqual([]);
    },
    SCENARIO_MS,
  );

  test(
    'are received if they were committed, once, and not otherwise',
    async () => {
      const { received } = await playedOnce();
      expectCleanEnd(received);
      const expected = [...numbered('committed', COUNT), ...numbered('asked', COUNT), ...numbered('orphaned', COUNT)];
      expect(bodies(received, 'received').sort()).toEqual(expected.sort());
    },
    SCENARIO_MS,
  );
});
