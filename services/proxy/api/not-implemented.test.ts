import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { describe, expect, test } from '@jest/globals';
import { fakeHarness } from '../testing/harness.ts';
import { TestClient } from '../testing/test-client.ts';

describe('every RPC of the service', () => {
  test('has a handler', async () => {
    const { handlers } = await fakeHarness();
    const names = Object.values(handlers).flatMap((methods) => Object.keys(methods));
    expect(names.sort()).toEqual(Object.keys(serviceDefinition('apache.rocketmq.v2.MessagingService')).sort());
  });

  test('answers in-band that it is not implemented yet, if it is not', async () => {
    const { handlers } = await fakeHarness();
    const client = new TestClient(handlers);
    const missing = ['SyncLiteSubscription'] as const;
    for (const method of missing) {
      expect((await client.plain(method, {})).status).toEqual({ code: 50100, message: 'not implemented yet' });
    }
  });
});
