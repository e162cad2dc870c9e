// The Settings that a client gets back: its own, with the fields that are the server's business filled in. Everything
// else is echoed as it came, because clients overwrite what they have with what they read here.
import { DEFAULT_BACKOFF_MS, DEFAULT_MAX_ATTEMPTS } from '@fulmar/core/group-defaults.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { GroupAsTold } from '../api/groups.ts';
import { CLIENT_TYPE, isLiteConsumerType, type Settings, type Subscription, wireTime } from '../api/messages.ts';
import { PRODUCER_RETRY_POLICY, retryPolicyFor } from './retry-policy.ts';

/** What a client is told of a group that no broker could be asked about in time. */
export const DEFAULT_GROUP: GroupAsTold = {
  fifo: false,
  maxAttempts: DEFAULT_MAX_ATTEMPTS,
  backoff: { delaysMs: DEFAULT_BACKOFF_MS },
};

/** The type of the client: as declared, or read off what it wants to do; `unspecified` when it says neither. */
export function clientTypeOf({ clientType, publishing, subscription }: Settings): number {
  if (clientType) return clientType;
  if (publishing) return CLIENT_TYPE.producer;
  return subscription ? CLIENT_TYPE.pushConsumer : CLIENT_TYPE.unspecified;
}

export function producerSettings(settings: Settings): Settings {
  return {
    ...settings,
    clientType: CLIENT_TYPE.producer,
    backoffPolicy: PRODUCER_RETRY_POLICY,
    publishing: { topics: settings.publishing?.topics ?? [], maxBodySize: LIMITS.bodyBytes, validateMessageType: true },
    metric: { on: false },
  };
}

export function consumerSettings(settings: Settings, group: GroupAsTold, language: string): Settings {
  const clientType = clientTypeOf(settings);
  const isLite = isLiteConsumerType(clientType);
  const isSimple = clientType === CLIENT_TYPE.simpleConsumer || clientType === CLIENT_TYPE.pullConsumer;
  const asked = settings.subscription?.longPollingTimeout;
  const subscription: Subscription = {
    ...settings.subscription,
    fifo: group.fifo,
    receiveBatchSize: LIMITS.receiveBatchMessages,
    longPollingTimeout: isSimple && asked ? asked : wireTime(LIMITS.longPollMaxMs),
    ...(isLite && {
      liteSubscriptionQuota: LIMITS.liteSubscriptionsPerClient,
      maxLiteTopicSize: LIMITS.liteTopicNameLength,
    }),
  };
  return {
    ...settings,
    clientType,
    backoffPolicy: retryPolicyFor(group, language),
    subscription,
    metric: { on: false },
  };
}
