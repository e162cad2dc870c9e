// Metrics of the hot paths. Each series is looked up once and kept by the words that choose it, because what is done
// for every message has to cost next to nothing. The number of kept series is bounded; beyond it they are looked up
// again.
import { ERRORS, errorNameOf } from '@fulmar/core/errors.ts';
import type { Observer } from '@fulmar/core/ports.ts';
import { MessageRates } from './message-rates.ts';

type Add = (value: number) => void;

const KEPT_MAX = 10_000;

/** Remembers what `make` gives for two words. */
function remembering<First, Second, T>(make: (first: First, second: Second) => T) {
  const kept = new Map<First, Map<Second, T>>();
  let size = 0;
  return (first: First, second: Second): T => {
    const known = kept.get(first)?.get(second);
    if (known !== undefined) return known;
    if (size >= KEPT_MAX) {
      kept.clear();
      size = 0;
    }
    const value = make(first, second);
    const row = kept.get(first) ?? new Map<Second, T>();
    kept.set(first, row.set(second, value));
    size++;
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
  readonly rates: MessageRates;
  stored(topic: string, messageType: string, bodyBytes: number): void;
  delivered(topic: string, group: string, isRetry: boolean, bodyBytes: number): void;
  answered(method: string, code: number, milliseconds: number): void;
}

const FIRST_ERROR_CODE = 40_000;

/** A poll that found nothing was not refused, although its code looks so. */
function isRefusal(code: number): boolean {
  return code >= FIRST_ERROR_CODE && code !== ERRORS.MESSAGE_NOT_FOUND.code;
}

export function createTraffic(observer: Observer): Traffic {
  const storedSeries = remembering((topic: string, message_type: string): StoredSeries => {
    const labels = { topic, message_type, is_system: 'false' };
    return {
      messages: observer.bind('rocketmq_messages_in_total', labels),
      bytes: observer.bind('rocketmq_throughput_in_total', labels),
      size: observer.bind('rocketmq_message_size', labels),
    };
  });
  const deliveredIn = (is_retry: 'false' | 'true') =>
    remembering((topic: string, consumer_group: string): DeliveredSeries => {
      const labels = { topic, consumer_group, is_retry, is_system: 'false' };
      return {
        messages: observer.bind('rocketmq_messages_out_total', labels),
        bytes: observer.bind('rocketmq_throughput_out_total', labels),
      };
    });
  const first = deliveredIn('false');
  const retried = deliveredIn('true');
  const answerSeries = remembering((request_code: string, code: number): AnswerSeries => {
    const response_code = String(code);
    const milliseconds = observer.bind('rocketmq_rpc_latency_milliseconds', {
      protocol_type: 'grpc',
      request_code,
      response_code,
      is_long_polling: String(request_code === 'ReceiveMessage'),
      result: 'success',
    });
    if (!isRefusal(code)) return { milliseconds };
    const labels = { method: request_code, reason: errorNameOf(code) };
    return { milliseconds, refused: observer.bind('fulmar_requests_refused_total', labels) };
  });
  const rates = new MessageRates();
  return {
    rates,
    stored(topic, messageType, bodyBytes) {
      rates.stored++;
      const series = storedSeries(topic, messageType);
      series.messages(1);
      series.bytes(bodyBytes);
      series.size(bodyBytes);
    },
    delivered(topic, group, isRetry, bodyBytes) {
      rates.delivered++;
      const series = (isRetry ? retried : first)(topic, group);
      series.messages(1);
      series.bytes(bodyBytes);
    },
    answered(method, code, milliseconds) {
      const series = answerSeries(method, code);
      series.milliseconds(milliseconds);
      series.refused?.(1);
    },
  };
}
