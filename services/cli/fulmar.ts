// Carries out one command line and gives the exit code: 0 done, 1 refused by the server, 2 not understood, 3 the server
// cannot be reached. What goes wrong is one sentence on the standard error.
import { isReachableAddress } from '@fulmar/core/addresses.ts';
import { nearest } from '@fulmar/core/nearest.ts';
import { VERSION } from '@fulmar/core/version.ts';
import { GRPC_STATUS, RpcFailure } from '@fulmar/runtime/rpc.ts';
import { APPLY_COMMANDS } from './apply.ts';
import { type Invocation, parseArguments } from './arguments.ts';
import { CHECK_COMMANDS } from './check.ts';
import { BROKER_COMMANDS, CLUSTER_COMMANDS } from './cluster.ts';
import { type Command, Refusal, UsageError } from './command.ts';
import { DEAD_LETTER_COMMANDS } from './dead-letters.ts';
import { FIND_COMMANDS } from './find.ts';
import { GROUP_COMMANDS } from './groups.ts';
import { helpOf, overview, overviewOf } from './help.ts';
import { LAG_COMMANDS } from './lag.ts';
import { MESSAGE_COMMANDS } from './messages.ts';
import type { ProxyClient, Tls } from './proxy.ts';
import { RESET_COMMANDS } from './reset.ts';
import { SCHEDULE_COMMANDS } from './schedules.ts';
import { TOPIC_COMMANDS } from './topics.ts';
import { TRANSACTION_COMMANDS } from './transactions.ts';

export const COMMANDS: readonly Command[] = [
  ...TOPIC_COMMANDS,
  ...GROUP_COMMANDS,
  ...RESET_COMMANDS,
  ...MESSAGE_COMMANDS,
  ...FIND_COMMANDS,
  ...DEAD_LETTER_COMMANDS,
  ...TRANSACTION_COMMANDS,
  ...SCHEDULE_COMMANDS,
  ...CLUSTER_COMMANDS,
  ...BROKER_COMMANDS,
  ...LAG_COMMANDS,
  ...APPLY_COMMANDS,
  ...CHECK_COMMANDS,
];

export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

/** What runs until it is stopped; resolves with the exit code. */
export type Service = (flags: readonly string[]) => Promise<number>;

export interface ServiceRow {
  readonly text: string;
  /** Loads the service only when it is to run. */
  readonly load: () => Promise<Service>;
}

export interface Surroundings {
  readonly services: Readonly<Record<string, ServiceRow>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly openProxy: (endpoint: string, tls: Tls) => ProxyClient;
  readonly input: () => Promise<Buffer>;
  readonly readFile: (path: string) => Promise<Buffer>;
  readonly pause: (milliseconds: number) => Promise<void>;
  readonly output: (text: string) => void;
  readonly error: (text: string) => void;
}

const DEFAULT_ENDPOINT = '127.0.0.1:8081';

export async function fulmar(words: readonly string[], around: Surroundings): Promise<number> {
  const [first] = words;
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    const services = Object.entries(around.services).map(([name, row]) => [name, row.text] as const);
    if (first === undefined) around.error(overview(COMMANDS, services));
    else around.output(overview(COMMANDS, services));
    return first === undefined ? EXIT.usage : EXIT.done;
  }
  if (first === '--version') {
    around.output(VERSION);
    return EXIT.done;
  }
  const family = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  // `fulmar broker --set a` runs a broker, `fulmar broker list` asks a cluster: settings begin with dashes.
  const isCommand = family.length > 0 && words[1] !== undefined && !words[1].startsWith('-');
  const service = Object.hasOwn(around.services, first) && !isCommand ? around.services[first] : undefined;
  if (service !== undefined) return (await service.load())(words.slice(1));

  if (family.length > 0 && (words[1] === '--help' || words[1] === '-h')) {
    around.output(overviewOf(family));
    return EXIT.done;
  }
  const parsed = parseArguments(COMMANDS, words);
  if (parsed.fault !== undefined) {
    const isKnown = COMMANDS.some(({ name }) => name.split(' ')[0] === first);
    const guess = isKnown ? undefined : nearest(first, Object.keys(around.services));
    around.error(
      guess === undefined ? parsed.fault.message : `There is no command "${first}". Did you mean "${guess}"?`,
    );
    return EXIT.usage;
  }
  if (parsed.value.help) {
    around.output(helpOf(parsed.value.command));
    return EXIT.done;
  }
  return run(parsed.value, around);
}

async function run({ command, values }: Invocation<Command>, around: Surroundings): Promise<number> {
  const endpoint = values.text('endpoint') ?? around.environment.FULMAR_ENDPOINT ?? DEFAULT_ENDPOINT;
  if (!isReachableAddress(endpoint)) {
    around.error(`The endpoint "${endpoint}" is not HOST:PORT. Set --endpoint, for example ${DEFAULT_ENDPOINT}.`);
    return EXIT.usage;
  }
  const json = values.has('json');
  const tls = values.has('tls-any') ? 'any' : values.has('tls') ? 'trusted' : 'off';
  const proxy = around.openProxy(endpoint, tls);
  try {
    const answer = await command.run({ ...around, proxy, values, json });
    if (answer !== undefined) around.output(json ? JSON.stringify(answer.json, null, 2) : answer.text);
    return EXIT.done;
  } catch (problem) {
    const { code, sentence } = explain(problem, endpoint, tls);
    around.error(sentence);
    return code;
  } finally {
    proxy.close();
  }
}

function explain(problem: unknown, endpoint: string, tls: Tls): { readonly code: number; readonly sentence: string } {
  if (problem instanceof UsageError) return { code: EXIT.usage, sentence: problem.message };
  if (problem instanceof Refusal) return { code: EXIT.refused, sentence: problem.message };
  if (!(problem instanceof RpcFailure)) throw problem;
  if (problem.fulmarCode !== undefined) return { code: EXIT.refused, sentence: problem.message };
  if (problem.grpcStatus === GRPC_STATUS.UNAVAILABLE) {
    const advice = 'Check that it runs, or set --endpoint or FULMAR_ENDPOINT.';
    const sentence =
      tls === 'trusted'
        ? `Cannot reach a proxy with a trusted certificate at ${endpoint}. ${advice} --tls-any takes any certificate.`
        : `Cannot reach a proxy at ${endpoint}. ${advice}`;
    return { code: EXIT.unreachable, sentence };
  }
  if (problem.grpcStatus === GRPC_STATUS.DEADLINE_EXCEEDED) {
    return { code: EXIT.unreachable, sentence: `The proxy at ${endpoint} did not answer in time. Repeat the command.` };
  }
  if (problem.grpcStatus === GRPC_STATUS.UNIMPLEMENTED) {
    const advice = 'Check that it is a Fulmar proxy of this version.';
    return { code: EXIT.refused, sentence: `The server at ${endpoint} does not know this command. ${advice}` };
  }
  return { code: EXIT.refused, sentence: problem.message };
}
