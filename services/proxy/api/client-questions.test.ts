import { LIMITS } from '@fulmar/core/limits.ts';
import { describe, expect, test } from '@jest/globals';
import { manualTime } from '../testing/manual-time.ts';
import { createClientQuestions } from './client-questions.ts';
import type { TelemetryCommand } from './messages.ts';

function world() {
  const time = manualTime();
  const sent: { readonly clientId: string; readonly nonce: string }[] = [];
  let answer: (clientId: string, command: TelemetryCommand) => void = () => {};
  const questions = createClientQuestions(
    { timers: time.timers, random: { uint32: () => 7 } },
    {
      command(clientId, { printThreadStackTraceCommand }) {
        if (clientId === 'away') return false;
        sent.push({ clientId, nonce: printThreadStackTraceCommand!.nonce });
        return true;
      },
      onAnswer: (listener) => {
        answer = listener;
      },
    },
  );
  const ask = (clientId: string) => questions.ask(clientId, (nonce) => ({ printThreadStackTraceCommand: { nonce } }));
  return { time, sent, ask, answer: (clientId: string, command: TelemetryCommand) => answer(clientId, command) };
}

describe('a question to a client', () => {
  test('is told apart from every other, also when answers come in another order', async () => {
    const { sent, ask, answer } = world();
    const asked = [ask('a'), ask('a'), ask('b')];
    expect(new Set(sent.map(({ nonce }) => nonce)).size).toBe(3);
    for (const [i, { clientId, nonce }] of [...sent.entries()].reverse()) {
      answer(clientId, { threadStackTrace: { nonce, threadStackTrace: `stack ${i}` } });
    }
    const traces = (await Promise.all(asked)).map(({ value }) => value?.threadStackTrace?.threadStackTrace);
    expect(traces).toEqual(['stack 0', 'stack 1', 'stack 2']);
  });

  test('is answered by nobody but the client that was asked, and only once', async () => {
    const { time, sent, ask, answer } = world();
    const asked = ask('a');
    const { nonce } = sent[0]!;
    answer('b', { threadStackTrace: { nonce } });
    answer('a', { threadStackTrace: { nonce: 'another' } });
    answer('a', {});
    await time.advance(6_000);
    expect((await asked).fault?.error).toBe('PROXY_TIMEOUT');
    // Too late; nobody waits for it.
    answer('a', { threadStackTrace: { nonce } });
  });

  test('that nobody answers takes room for some seconds only, and there is a bound', async () => {
    const { time, ask } = world();
    const asked = Array.from({ length: LIMITS.clientQuestions }, (_, i) => ask(`client ${i}`));
    expect((await ask('one more')).fault?.error).toBe('TOO_MANY_REQUESTS');
    await time.advance(6_000);
    for (const outcome of await Promise.all(asked)) expect(outcome.fault?.error).toBe('PROXY_TIMEOUT');
    expect((await ask('away')).fault?.error).toBe('NOT_FOUND');
  });
});
