// One message round the cluster through the public API, so that a newcomer sees at once that it works.
import { hostname } from 'node:os';
import { systemClock, systemRandom } from '@fulmar/runtime/clock.ts';
import { GRPC_STATUS, RpcFailure } from '@fulmar/runtime/rpc.ts';
import { openProxy } from './proxy.ts';
import { receiveUntil, sendText } from './round-trip.ts';

const NAME = 'fulmar-demo';
const PATIENCE_MS = 60_000;

/** Rejects if the message does not come back. */
export async function demonstrate(endpoint: string, print: (line: string) => void): Promise<void> {
  const id = `${hostname()}@${process.pid}@demo@${systemRandom.uint32().toString(36)}`;
  const proxy = openProxy(endpoint, { tls: 'off' }, id);
  try {
    await ignoreExisting(proxy.admin('CreateGroup', { name: NAME }));
    const startedAt = systemClock.monotonicMs();
    const body = `Hello from process ${process.pid}`;
    const messageId = await sendText(proxy, NAME, body);
    print(`Sent "${body}" to the topic ${NAME}.`);
    const received = await receiveUntil(proxy, { topic: NAME, group: NAME }, messageId, PATIENCE_MS);
    const milliseconds = (systemClock.monotonicMs() - startedAt).toFixed(1);
    print(`Received "${received}" as group ${NAME}, and acknowledged it, ${milliseconds} ms later.\n`);
  } finally {
    proxy.close();
  }
}

async function ignoreExisting(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (problem) {
    if (!(problem instanceof RpcFailure) || problem.grpcStatus !== GRPC_STATUS.FAILED_PRECONDITION) throw problem;
  }
}
