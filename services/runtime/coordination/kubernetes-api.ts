// The little of the Kubernetes API that Leases need, over Node's own HTTPS. Token and authority are files that the
// cluster replaces while we run, so they are read again for every request; there is about one a second.
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { unlessMissing } from './durable-file.ts';

export interface KubernetesApiOptions {
  /** `https://HOST:PORT`. */
  readonly server: string;
  /** Directory with `token`, `ca.crt` and `namespace`, as it is mounted into every pod. */
  readonly credentials: string;
}

export interface ApiReply {
  readonly status: number;
  readonly body: unknown;
}

/** More than any Lease that we write; a longer answer is not for us. */
const ANSWER_BYTES = 1024 * 1024;

export class KubernetesApi {
  private readonly options: KubernetesApiOptions;
  private agent: { readonly authority: string | undefined; readonly agent: Agent } | undefined;

  constructor(options: KubernetesApiOptions) {
    this.options = options;
  }

  async namespace(): Promise<string> {
    const file = join(this.options.credentials, 'namespace');
    const text = (await readFile(file, 'utf8').catch(unlessMissing))?.trim();
    if (text === undefined || text === '') {
      throw new Error(`${file} does not say in which namespace this pod is. Set the namespace of the Leases.`);
    }
    return text;
  }

  /** Any status is an answer; rejects when there is none in time. */
  async call(method: 'GET' | 'POST' | 'PUT', path: string, body: object | undefined, timeoutMs: number) {
    const over = AbortSignal.timeout(timeoutMs);
    const response = await this.send(method, path, body, over);
    const text = await textOf(response);
    return { status: response.statusCode ?? 0, body: parse(text) } satisfies ApiReply;
  }

  /** Gives each line of the answer to `onLine` until that returns false. Rejects when silent or stopped. */
  async stream(path: string, onLine: (line: unknown) => boolean, silentMs: number, stop: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error('the watch was silent')), silentMs);
    try {
      const response = await this.send('GET', path, undefined, AbortSignal.any([silence.signal, stop]));
      if (response.statusCode !== 200) {
        response.destroy();
        throw new Error(`the watch was answered with ${response.statusCode}`);
      }
      let rest = '';
      response.setEncoding('utf8');
      for await (const piece of response) {
        timer.refresh();
        const lines = (rest + String(piece)).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > ANSWER_BYTES) throw new Error('the watch sent a line without end');
        for (const line of lines) if (line !== '' && !onLine(parse(line))) return;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.agent?.agent.destroy();
  }

  private async send(
    method: string,
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { credentials, server } = this.options;
    const [token, authority] = await Promise.all([
      readFile(join(credentials, 'token'), 'utf8'),
      readFile(join(credentials, 'ca.crt'), 'utf8').catch(unlessMissing),
    ]);
    signal.throwIfAborted();
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${token.trim()}`,
      accept: 'application/json',
      ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    return await new Promise((resolve, reject) => {
      const url = new URL(path, server);
      const call = request(url, { method, headers, agent: this.agentFor(authority), signal });
      call.on('response', (response) => {
        // Who reads it is told of its end; an abort just behind that end concerns nobody.
        response.on('error', () => {});
        resolve(response);
      });
      call.on('error', reject);
      call.end(text);
    });
  }

  private agentFor(authority: string | undefined): Agent {
    if (this.agent === undefined || this.agent.authority !== authority) {
      this.agent?.agent.destroy();
      const trusted = authority === undefined ? {} : { ca: authority };
      this.agent = { authority, agent: new Agent({ keepAlive: true, ...trusted }) };
    }
    return this.agent.agent;
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response) {
    bytes += piece.length;
    if (bytes > ANSWER_BYTES) throw new Error(`the answer is longer than ${ANSWER_BYTES} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

/** Proxies on the way answer with pages for people. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
