// Profiles of the server while it does one of the measured cases, as flame graphs: it is warmed up by the same case,
// and only then V8 begins to sample, over the port of its inspector. Each pair of arguments is a case, by a part of its
// name, and the file to write.
//
//   node tests/bench/profile.ts 'receive + ack 1024 B, 16' docs/flame-receive.svg 'send 32 x' docs/flame-batch.svg
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cases } from './cases.ts';
import { flame, type Profile } from './flame.ts';
import { buildLoad, CACHE, runLoad } from './load-generator.ts';
import { type MeasuredServer, startFulmar } from './servers.ts';

const INSPECTOR = '127.0.0.1:19229';
const SECONDS = 8;
const MESSAGES = 150_000;
const WARM_RUNS = 2;
const SAMPLE_EVERY_MICROSECONDS = 1_000;

class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #next = 1;

  static async connect(): Promise<Inspector> {
    const answer = await fetch(`http://${INSPECTOR}/json`);
    const [target] = (await answer.json()) as readonly { readonly webSocketDebuggerUrl: string }[];
    const socket = new WebSocket(target!.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    return new Inspector(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { readonly id: number; readonly result: unknown };
      this.#waiting.get(id)?.(result);
    });
  }

  call(method: string, parameters: object = {}): Promise<unknown> {
    const id = this.#next++;
    this.#socket.send(JSON.stringify({ id, method, params: parameters }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  close(): void {
    this.#socket.close();
  }
}

async function profile(server: MeasuredServer, part: string): Promise<Profile> {
  const found = cases(SECONDS, MESSAGES).find(({ name }) => name.includes(part));
  if (found === undefined) throw new Error(`There is no case with ${part} in its name. tests/bench/cases.ts has them.`);
  const { arguments: words, fill, size } = found;
  const fillTopic = (): void => {
    const more = ['--inflight', '32', '--conns', '4', '--batch', '8', '--seconds', '120'];
    if (fill > 0) runLoad(server, ['send', '--topic', 'bench-r', '--count', `${fill}`, '--size', `${size}`, ...more]);
  };
  for (let run = 0; run < WARM_RUNS; run++) {
    fillTopic();
    runLoad(server, words);
  }
  fillTopic();
  const inspector = await Inspector.connect();
  await inspector.call('Profiler.enable');
  await inspector.call('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_MICROSECONDS });
  await inspector.call('Profiler.start');
  runLoad(server, words);
  const { profile: taken } = (await inspector.call('Profiler.stop')) as { readonly profile: Profile };
  inspector.close();
  return taken;
}

buildLoad();
const words = process.argv.slice(2);
for (let i = 0; i + 1 < words.length; i += 2) {
  const server = await startFulmar('sync', join(CACHE, 'data-profile'), `--inspect=${INSPECTOR}`);
  try {
    writeFileSync(words[i + 1]!, flame(await profile(server, words[i]!), `Fulmar, ${words[i]}, flush sync`));
  } finally {
    await server.stop();
  }
}
