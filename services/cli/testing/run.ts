// A command line as tests run it: against a proxy that is a table of answers.
import { fulmar, type Surroundings } from '../fulmar.ts';
import type { ProxyClient } from '../proxy.ts';

interface Call {
  readonly method: string;
  readonly request: unknown;
}

/** Runs a command line against a proxy that answers each method from a table. */
export async function run(words: string[], answers: Record<string, unknown> = {}, around: Partial<Surroundings> = {}) {
  const calls: Call[] = [];
  const output: string[] = [];
  const error: string[] = [];
  let endpoint = '';
  let closed = 0;
  const answer = async (method: string, request: object): Promise<never> => {
    calls.push({ method, request });
    const given = answers[method];
    const value = Array.isArray(given) ? given.shift() : given;
    if (value instanceof Error) throw value;
    return value as never;
  };
  const code = await fulmar(words, {
    services: {
      nameserver: { text: 'Run a NameServer.', load: async () => async (flags) => flags.length + 40 },
      broker: { text: 'Run a broker.', load: async () => async () => 0 },
    },
    environment: {},
    openProxy: (address): ProxyClient => {
      endpoint = address;
      return {
        endpoint,
        admin: answer,
        messaging: answer,
        messagingStream: answer,
        close: () => {
          closed++;
        },
      };
    },
    input: async () => Buffer.from('from a pipe'),
    readFile: async (path) => Buffer.from(`{"topics": [{"name": "${path}"}]}`),
    pause: async () => {},
    output: (text) => output.push(text),
    error: (text) => error.push(text),
    ...around,
  });
  return { code, calls, output: output.join('\n'), error: error.join('\n'), endpoint, closed };
}
