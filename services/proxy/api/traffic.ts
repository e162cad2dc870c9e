// Metrics of the hot paths. Each series is looked up once and kept by the words that choose it, because what is done
// for every message has to cost next to nothing. The number of kept series is bounded; beyond it they are looked up
// again.
import { ERRORS, errorNameOf } from '@fulmar/core/errors.ts';
import type { Observer } from '@fulmar/core/ports.ts';

type Add = (value: number) => void;

const KEPT_MAX = 10_000;

/** Remembers what `make` gives for a key. */
function remembering<T>(make: (key: string) => T): (key: string) => T {
  const kept = new Map<string, T>();
  return (key) => {
    let value = kept.get(key);
    if (value === undefined) {
      if (kept.size >= KEPT_MAX) kept.clear();
      value = make(key);
      kept.set(key, value);
    }
    return value;
  };
}

interface StoredSeries {
  readonly messages: Add;
  readonly bytes: Add;
  readonly size: Add;
}

interface DeliveredSeries {
  readonly messages: Add;
  readonly bytes: Add;
}

interface AnswerSeries {
  readonly milliseconds: Add;
  readonly refused?: Add;
}

export interface Traffic {
  stored(topic: string, messageType: string, bodyBytes: number): void;
  delivered(topic: string, group: string, isRetry: boolean, bodyBytes: number): void;
  answered(method: string, code: number, milliseconds: number): void;
}

const FIRST_ERROR_CODE = 40_000;

/** A poll that found nothing was not refused, although its code looks so. */
function isRefusal(code: number): boolean {
  return code >= FIRST_ERROR_CODE && code !== ERRORS.MESSAGE_NOT_FOUND.code;
}

// A character that no name can hold.
const SEPARATOR = '\n';

export function createTraffic(observer: Observer): Traffic {
  const storedSeries = remembering((key): StoredSeries => {
    const [topic, message_type] = key.split(SEPARATOR) as [string, string];
    const labels = { topic, message_type, is_system: 'false' };
    return {
      messages: observer.bind('rocketmq_messages_in_total', labels),
      bytes: observer.bind('rocketmq_throughput_in_total', labels),
      size: observer.bind('rocketmq_message_size', labels),
    };
  });
  const deliveredSeries = remembering((key): DeliveredSeries => {
    const [topic, consumer_group, is_retry] = key.split(SEPARATOR) as [string, string, string];
    const labels = { topic, consumer_group, is_retry, is_system: 'false' };
    return {
      messages: observer.bind('rocketmq_messages_out_total', labels),
      bytes: observer.bind('rocketmq_throughput_out_total', labels),
    };
  });
  const answerSeries = remembering((key): AnswerSeries => {
    const [request_code, response_code] = key.split(SEPARATOR) as [string, string];
    const milliseconds = observer.bind('rocketmq_rpc_latency_milliseconds', {
      protocol_type: 'grpc',
      request_code,
      response_code,
      is_long_polling: String(request_code === 'ReceiveMessage'),
      result: 'success',
    });
    const code = Number(response_code);
    if (!isRefusal(code)) return { milliseconds };
    const labels = { method: request_code, reason: errorNameOf(code) };
    return { milliseconds, refused: observer.bind('fulmar_requests_refused_total', labels) };
  });
  return {
    stored(topic, messageType, bodyBytes) {
      const series = storedSeries(topic + SEPARATOR + messageType);
      series.messages(1);
      series.bytes(bodyBytes);
      series.size(bodyBytes);
    },
    delivered(topic, group, isRetry, bodyBytes) {
      const series = deliveredSeries(topic + SEPARATOR + group + SEPARATOR + isRetry);
      series.messages(1);
      series.bytes(bodyBytes);
    },
    answered(method, code, milliseconds) {
      const series = answerSeries(method + SEPARATOR + code);
      series.milliseconds(milliseconds);
      series.refused?.(1);
    },
  };
}
