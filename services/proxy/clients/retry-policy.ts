// The retry policy that a client is told, in the form that its library can read. Node knows only exponential policies,
// Python only customized ones with whole seconds; all others are given the group's own list.
import type { GroupDescription } from '@fulmar/core/broker-api.ts';
import { type RetryPolicy, wireTime } from '../api/messages.ts';

const EXPONENTIAL_MULTIPLIER = 2;

export const PRODUCER_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 3,
  exponentialBackoff: { initial: wireTime(10), max: wireTime(1_000), multiplier: EXPONENTIAL_MULTIPLIER },
};

export function retryPolicyFor(
  { maxAttempts, backoff: { delaysMs } }: Pick<GroupDescription, 'maxAttempts' | 'backoff'>,
  language: string,
): RetryPolicy {
  if (language === 'HTTP') {
    return {
      maxAttempts,
      exponentialBackoff: {
        initial: wireTime(delaysMs[0]!),
        max: wireTime(delaysMs[delaysMs.length - 1]!),
        multiplier: EXPONENTIAL_MULTIPLIER,
      },
    };
  }
  const shown = language === 'PYTHON' ? delaysMs.map(wholeSeconds) : delaysMs;
  return { maxAttempts, customizedBackoff: { next: shown.map(wireTime) } };
}

function wholeSeconds(delayMs: number): number {
  return Math.max(1_000, Math.ceil(delayMs / 1_000) * 1_000);
}
