// What the tests with the official clients share: a file calls clientMatrix() once, at its top: before its tests the
// clients are built and a Fulmar is started, and after them everything is ended. FULMAR_MATRIX_LANGUAGES narrows the
// languages.
import { afterAll, beforeAll, expect } from '@jest/globals';
import { type Language, languages } from './clients-languages.ts';
import { ClientProgram, type Outcome, stopAllPrograms } from './clients-program.ts';
import { fulmar, startServer } from './clients-server.ts';
import { endAll, run } from './commands.ts';

/** The first build fetches and compiles the clients of five languages. */
const BUILD_MS = 1_200_000;
export const SCENARIO_MS = 600_000;

/** Options of a program of tests/clients, without their dashes; true for one without a value. */
export type ClientOptions = Readonly<Record<string, string | number | true>>;

export interface ClientMatrix {
  /** host:port of the Proxy; before the tests of the file begin it is not known yet. */
  readonly endpoint: string;
  start(language: Language, command: string, options: ClientOptions): ClientProgram;
  /** Runs a command of the command line against the server, and answers what it prints. */
  fulmar(...words: string[]): Promise<string>;
}

/** `flags` are for the cluster. */
export function clientMatrix(flags: readonly string[] = []): ClientMatrix {
  let endpoint: string | undefined;
  const matrix: ClientMatrix = {
    get endpoint() {
      if (endpoint === undefined) throw new Error('the server is started before the first test, not earlier');
      return endpoint;
    },
    start: ({ name }, command, options) =>
      new ClientProgram(name, ['client', command, '--endpoint', matrix.endpoint, ...wordsOf(options)]),
    fulmar: (...words) => fulmar(matrix.endpoint, ...words),
  };
  buildClients();
  beforeAll(async () => {
    endpoint = await startServer(flags);
  }, SCENARIO_MS);
  return matrix;
}

/** The same without a server, for a file that starts its own. */
export function buildClients(): void {
  beforeAll(async () => {
    const names = languages.map(({ name }) => name);
    const { status, stderr } = await run('tests/clients/build', names);
    if (status !== 0) throw new Error(stderr);
  }, BUILD_MS);
  afterAll(async () => {
    await stopAllPrograms();
    await endAll();
  });
}

function wordsOf(options: ClientOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );
}

export function expectCleanEnd({ status, output }: Outcome): void {
  expect({ status, output }).toEqual({ status: 0, output });
}

/** Bodies of all messages that were received so far, in the order in which that happened. */
export function bodiesOf({ events }: Pick<Outcome, 'events'>): string[] {
  return events.flatMap(({ event, body }) => (event === 'received' && body !== undefined ? [body] : []));
}

/** What `produce --prefix PREFIX --count COUNT` sends. */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}
