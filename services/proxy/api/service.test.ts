import { serviceDefinition } from '@fulmar/runtime/protos.ts';
import { describe, expect, test } from '@jest/globals';
import { fakeHarness } from '../testing/harness.ts';

describe('every RPC of the service', () => {
  test('has a handler', async () => {
    const { handlers } = await fakeHarness();
    const names = Object.values(handlers).flatMap((methods) => Object.keys(methods));
    expect(names.sort()).toEqual(Object.keys(serviceDefinition('apache.rocketmq.v2.MessagingService')).sort());
  });
});
