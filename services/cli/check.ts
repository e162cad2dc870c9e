// `fulmar check`: whether a cluster does what it is there for, by sending and receiving through its public API.
import { hostname } from 'node:os';
import { systemClock, systemRandom } from '@fulmar/runtime/clock.ts';
import type { Command } from './command.ts';
import { receiveUntil, sendText } from './round-trip.ts';
import { count } from './table.ts';

const TOPIC = 'fulmar-check';
const DEFAULT_MESSAGES = 8;
const DEFAULT_PATIENCE_SECONDS = 30;

export const CHECK_COMMANDS: readonly Command[] = [
  {
    name: 'check',
    text: `Send messages to the topic ${TOPIC}, receive and acknowledge them; fails when one does not come.`,
    positional: [],
    flags: {
      messages: {
        value: 'N',
        type: 'number',
        min: 1,
        max: 1_000,
        text: `How many. Default ${DEFAULT_MESSAGES}.`,
      },
      patience: {
        value: 'SECONDS',
        type: 'number',
        min: 1,
        max: 3_600,
        text: `How long to wait for each. Default ${DEFAULT_PATIENCE_SECONDS}.`,
      },
    },
    example: 'fulmar check --messages 100',
    async run({ proxy, values }) {
      const messages = values.number('messages') ?? DEFAULT_MESSAGES;
      // Of its own, so that two checks at the same time do not take each other's messages.
      const group = `${TOPIC}-${systemRandom.uint32().toString(36)}`;
      const patienceMs = (values.number('patience') ?? DEFAULT_PATIENCE_SECONDS) * 1_000;
      const times: number[] = [];
      await proxy.admin('CreateTopic', { name: TOPIC, type: 1, queues: 0 });
      await proxy.admin('CreateGroup', { name: group, settings: {} });
      try {
        for (let number = 0; number < messages; number++) {
          const startedMs = systemClock.monotonicMs();
          const messageId = await sendText(proxy, TOPIC, `check ${number} from ${hostname()}`);
          await receiveUntil(proxy, { topic: TOPIC, group }, messageId, patienceMs);
          times.push(Math.round(systemClock.monotonicMs() - startedMs));
        }
      } finally {
        await proxy.admin('DeleteGroup', { name: group });
      }
      const slowest = Math.max(...times);
      const text = `${count(messages, 'message')} sent, received and acknowledged; the slowest took ${slowest} ms.`;
      return { json: { messages, milliseconds: times }, text };
    },
  },
];
