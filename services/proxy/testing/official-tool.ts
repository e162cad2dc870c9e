// A tool that speaks the official admin service. Requests and answers pass through their bytes, as over a connection.
import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { expect } from '@jest/globals';
import type { OfficialAdminHandlers } from '../api/official/admin.ts';
import type { Harness } from './harness.ts';
import type { TestClient } from './test-client.ts';
import type { Message } from './wire.ts';

const SERVICE = 'apache.rocketmq.v2.Admin';

export class OfficialTool {
  readonly #harness: Harness;
  readonly #client: TestClient;

  /** `client` is whose connection it has. */
  constructor(harness: Harness, client: TestClient) {
    this.#harness = harness;
    this.#client = client;
  }

  async ask(method: keyof OfficialAdminHandlers, request: Message): Promise<Message> {
    const definition = serviceDefinition(SERVICE)[method]!;
    const handler = this.#harness.official[method] as (call: unknown, request: Message) => Promise<Message>;
    const read = definition.requestDeserialize(definition.requestSerialize(request));
    const { call } = this.#client.context();
    return definition.responseDeserialize(definition.responseSerialize(await handler(call, read)));
  }

  async codeOf(method: keyof OfficialAdminHandlers, request: Message): Promise<number> {
    const { status } = await this.ask(method, request);
    expect(status.message).not.toBe('');
    return status.code;
  }
}

export function bodiesOf(answer: Message): string[] {
  return answer.messages.map(({ body }: Message) => Buffer.from(body).toString());
}
