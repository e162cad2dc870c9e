// Sends one tiny message every 20 ms to one broker set, through every proxy in turn, and writes down when each was
// answered OK. A process of its own, so that nothing else can hold it up; each line is one answer.
import { connectGrpc } from '@fulmar/runtime/grpc-client.ts';
import { OK, SERVICE, wireMessage } from '../integration/support/messaging.ts';
import { nowMs } from './machine.ts';

interface Answer {
  readonly entries: readonly { readonly status: { readonly code: number; readonly message: string } }[];
}

const EVERY_MS = 20;
const CALL_MS = 3_000;
/** Of a probe that nobody has answered; sends behind it would only wait in the same place. */
const UNDER_WAY_MAX = 400;

const [topic, messageGroup, ...endpoints] = process.argv.slice(2);
const clients = endpoints.map((endpoint) => connectGrpc(endpoint, { reconnectMaxMs: 200 }));
const headers = { 'x-mq-client-id': `prober@${process.pid}`, 'x-mq-language': 'JAVA', 'x-mq-protocol': 'v2' };
let number = 0;
let underWay = 0;

function write(event: object): void {
  process.stdout.write(`${JSON.stringify({ atMs: nowMs(), ...event })}\n`);
}

async function probe(): Promise<void> {
  const key = `${messageGroup}-${number}`;
  const client = clients[number++ % clients.length]!;
  const message = wireMessage(topic!, { messageId: key, body: Buffer.from(key) }) as {
    readonly systemProperties: object;
  };
  const systemProperties = { ...message.systemProperties, messageType: 2, messageGroup };
  const sentMs = nowMs();
  underWay++;
  try {
    const request = { messages: [{ ...message, systemProperties }] };
    const options = { timeoutMs: CALL_MS, headers };
    const { entries } = await client.unary<object, Answer>({ service: SERVICE, name: 'SendMessage' }, request, options);
    const status = entries[0]?.status;
    write({ sentMs, code: status?.code ?? 0, ...(status?.code === OK ? {} : { text: status?.message }) });
  } catch (error) {
    write({ sentMs, code: -1, text: String((error as Error).message).slice(0, 200) });
  } finally {
    underWay--;
  }
}

setInterval(() => {
  if (underWay < UNDER_WAY_MAX) void probe();
}, EVERY_MS);
