// Questions of people to one connected client, over its Telemetry stream: its stacks, or to try a message. A nonce
// tells to which question an answer belongs; only the client that was asked can give it. A client that is silent,
// because its language knows no such question, costs the asker some seconds and nothing more.
import { failure, type Outcome, success } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { Random, Timers } from '@fulmar/core/ports.ts';
import { COLLEAGUE_MS, type Colleagues, NO_COLLEAGUES } from '../clients/colleagues.ts';
import type { TelemetryCommand } from './messages.ts';
import type { Telemetry } from './telemetry.ts';

const ANSWER_WITHIN_MS = 5_000;

export interface ClientQuestions {
  /** Never rejects. The command that `question` makes holds the nonce. */
  ask(clientId: string, question: (nonce: string) => TelemetryCommand): Promise<Outcome<TelemetryCommand>>;
  /** For another worker: undefined if the client has no stream here. */
  put(clientId: string, nonce: string, command: TelemetryCommand): Promise<Outcome<TelemetryCommand>> | undefined;
}

interface Waiting {
  readonly clientId: string;
  readonly answer: (command: TelemetryCommand) => void;
}

export function createClientQuestions(
  { timers, random }: { readonly timers: Timers; readonly random: Random },
  telemetry: Pick<Telemetry, 'command' | 'onAnswer'>,
  colleagues: Colleagues = NO_COLLEAGUES,
): ClientQuestions {
  const waiting = new Map<string, Waiting>();
  let asked = 0;

  telemetry.onAnswer((clientId, command) => {
    const nonce = command.threadStackTrace?.nonce ?? command.verifyMessageResult?.nonce ?? '';
    const question = waiting.get(nonce);
    if (question?.clientId === clientId) question.answer(command);
  });

  function put(
    clientId: string,
    nonce: string,
    command: TelemetryCommand,
  ): Promise<Outcome<TelemetryCommand>> | undefined {
    if (waiting.size >= LIMITS.clientQuestions) {
      const text = `${LIMITS.clientQuestions} clients are being asked at the moment. Repeat in some seconds.`;
      return Promise.resolve(failure('TOO_MANY_REQUESTS', text));
    }
    if (!telemetry.command(clientId, command)) return undefined;
    return new Promise((resolve) => {
      const end = (outcome: Outcome<TelemetryCommand>): void => {
        timer.cancel();
        waiting.delete(nonce);
        resolve(outcome);
      };
      const timer = timers.after(ANSWER_WITHIN_MS, () => {
        const text = `The client did not answer in ${ANSWER_WITHIN_MS / 1_000} s. Not every language can.`;
        end(failure('PROXY_TIMEOUT', `${text} Look whether it runs.`));
      });
      waiting.set(nonce, { clientId, answer: (answer) => end(success(answer)) });
    });
  }

  return {
    put,
    async ask(clientId, question) {
      const nonce = `${random.uint32().toString(36)}-${++asked}`;
      const command = question(nonce);
      const own = put(clientId, nonce, command);
      if (own !== undefined) return own;
      const others = await colleagues.ask('client', { clientId, nonce, command }, ANSWER_WITHIN_MS + COLLEAGUE_MS);
      const answer = others.find((each) => each !== null);
      if (answer !== undefined) return answer;
      const text =
        'No client with this id has an open Telemetry stream at this proxy. Ask the proxy that it uses: each knows ' +
        'only its own clients.';
      return failure('NOT_FOUND', text);
    },
  };
}
