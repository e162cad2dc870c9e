import { Writable } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type HttpServer, startHttpServer } from './http.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';
import { METRICS, PROCESS_METRICS } from './metrics-table.ts';
import { Probes } from './probes.ts';

const labels = { cluster: 'c', node_type: 'broker', node_id: 'b-0' };

function linesOf(text: string, metric: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${metric}{`));
}

function sumOf(text: string, metric: string): number {
  return linesOf(text, metric).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

describe('metrics', () => {
  test('count, observe and sample under their names, with the labels of the node', async () => {
    const { observer, text, onCollect } = createMetrics({ labels, processMetrics: false });
    observer.count('rocketmq_messages_in_total', { topic: 't', message_type: 'Normal' }, 2);
    observer.count('rocketmq_messages_in_total', { topic: 't', message_type: 'Normal' }, 3);
    observer.observe('rocketmq_proxy_up', { proxy_mode: 'cluster' }, 1);
    let topics = 7;
    onCollect((sample) => sample.observe('rocketmq_topic_number', {}, topics));
    const first = await text();
    expect(first).toMatch(/rocketmq_messages_in_total\{[^}]*topic="t"[^}]*is_system="false"[^}]*\} 5/);
    expect(first).toContain('node_id="b-0"');
    expect(first).toMatch(/rocketmq_topic_number\{[^}]*\} 7/);
    topics = 8;
    expect(await text()).toMatch(/rocketmq_topic_number\{[^}]*\} 8/);
  });

  test('that are distributions tell for each bound how many values were at most that, each time', async () => {
    const { observer, text } = createMetrics({ labels, processMetrics: false });
    const size = observer.bind('rocketmq_message_size', { topic: 't', message_type: 'Normal' });
    const counted = (told: string) => [
      ...linesOf(told, 'rocketmq_message_size_bucket').map((line) => [
        /le="([^"]*)"/.exec(line)?.[1],
        Number(line.split(' ').at(-1)),
      ]),
      ['sum', sumOf(told, 'rocketmq_message_size_sum')],
      ['count', sumOf(told, 'rocketmq_message_size_count')],
    ];
    for (const bytes of [0, 256, 257, 5_000_000]) size(bytes);
    expect(counted(await text()).slice(0, 3)).toEqual([
      ['256', 2],
      ['1024', 3],
      ['4096', 3],
    ]);
    size(1_024);
    expect(counted(await text()).slice(-5)).toEqual([
      ['2097152', 4],
      ['4194304', 4],
      ['+Inf', 5],
      ['sum', 5_001_537],
      ['count', 5],
    ]);
  });

  test('that are not in the table, or have other labels, are bugs', () => {
    const { observer } = createMetrics({ labels, processMetrics: false });
    expect(() => observer.count('rocketmq_no_such', {}, 1)).toThrow('no metric');
    expect(() => observer.count('rocketmq_messages_in_total', { colour: 'red' }, 1)).toThrow('no label colour');
    expect(() => observer.observe('rocketmq_messages_in_total', {}, 1)).toThrow('counted');
  });

  test('of any number of topics stay within their bound; what comes later is counted as "_other"', async () => {
    const { observer, text } = createMetrics({ labels, processMetrics: false, seriesPerMetric: 10 });
    for (let i = 0; i < 1000; i++) {
      observer.count('rocketmq_messages_in_total', { topic: `t${i}`, message_type: i % 2 ? 'FIFO' : 'Normal' }, 1);
    }
    const lines = linesOf(await text(), 'rocketmq_messages_in_total');
    expect(lines).toHaveLength(12);
    const other = lines.filter((line) => line.includes('topic="_other"'));
    expect(other.map((line) => line.split(' ').at(-1))).toEqual(['495', '495']);
  });

  test('of 10,000 topics, each with a group, are 2,000 series each at most, histograms by all lines', async () => {
    const { observer, onCollect, text } = createMetrics({ labels, processMetrics: false });
    const names = Array.from({ length: 10_000 }, (_, i) => `topic-${i}`);
    for (const topic of names) {
      observer.bind('rocketmq_message_size', { topic, message_type: 'Normal' })(100);
      observer.bind('rocketmq_messages_out_total', { topic, consumer_group: 'g' })(1);
    }
    onCollect((sample) => {
      for (const [i, topic] of names.entries()) {
        sample.observe('rocketmq_consumer_lag_messages', { topic, consumer_group: 'g' }, 1);
        sample.observe('rocketmq_consumer_lag_latency_milliseconds', { topic, consumer_group: 'g' }, i);
      }
    });
    for (const told of [await text(), await text()]) {
      const size = ['_bucket', '_sum', '_count'].flatMap((part) => linesOf(told, `rocketmq_message_size${part}`));
      expect(size.length).toBeLessThanOrEqual(2_012);
      expect(sumOf(told, 'rocketmq_message_size_count')).toBe(10_000);
      expect(linesOf(told, 'rocketmq_messages_out_total')).toHaveLength(2_001);
      expect(sumOf(told, 'rocketmq_messages_out_total')).toBe(10_000);
      // Beyond the bound backlogs add up, and of waits the longest counts.
      expect(linesOf(told, 'rocketmq_consumer_lag_messages')).toHaveLength(2_001);
      expect(sumOf(told, 'rocketmq_consumer_lag_messages')).toBe(10_000);
      const waits = linesOf(told, 'rocketmq_consumer_lag_latency_milliseconds');
      expect(
        waits
          .find((line) => line.includes('topic="_other"'))
          ?.split(' ')
          .at(-1),
      ).toBe('9999');
    }
  });

  test('that count are there from zero on, so that the first event is an increase', async () => {
    const { observer, text } = createMetrics({ labels, processMetrics: false });
    const repaired = observer.bind('fulmar_log_repairs_total', { set: 'set-0', kind: 'record' });
    expect(sumOf(await text(), 'fulmar_log_repairs_total')).toBe(0);
    repaired(1);
    expect(sumOf(await text(), 'fulmar_log_repairs_total')).toBe(1);
  });

  test('tell of the process what the table says, and its bounds', async () => {
    const told = await createMetrics({ labels }).text();
    for (const { name, type } of PROCESS_METRICS) expect(told).toContain(`# TYPE ${name} ${type}\n`);
    const memory = sumOf(told, 'process_resident_memory_bytes');
    expect(memory).toBeGreaterThan(0);
    expect(sumOf(told, 'fulmar_memory_limit_bytes')).toBeGreaterThan(memory);
    expect(sumOf(told, 'fulmar_heap_limit_bytes')).toBeGreaterThan(sumOf(told, 'nodejs_heap_size_used_bytes'));
    expect(linesOf(told, 'fulmar_build_info')[0]).toContain(`node="${process.version}"`);
  });

  test('are forgotten when their topic is gone', async () => {
    const { text, onCollect } = createMetrics({ labels, processMetrics: false });
    const topics = ['a', 'b'];
    onCollect((sample) => {
      for (const topic of topics) sample.observe('rocketmq_timing_messages', { topic }, 1);
    });
    expect(await text()).toContain('topic="b"');
    topics.pop();
    const after = await text();
    expect(after).toContain('topic="a"');
    expect(after).not.toContain('topic="b"');
  });

  test('all have a help text and a name of their own', () => {
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
    for (const { name, help } of METRICS) {
      expect(name).toMatch(/^(rocketmq|fulmar)_[a-z_]+$/);
      expect(help).toMatch(/\.$/);
    }
  });
});

describe('the log', () => {
  test('is one JSON object a line, with the level as a word, and can become quieter or louder', () => {
    const lines: string[] = [];
    const target = new Writable({
      write: (chunk, _encoding, done) => {
        lines.push(String(chunk));
        done();
      },
    });
    const logger = createLogger({ level: 'info', fields: { service: 'broker' }, destination: target });
    logger.debug('not seen');
    logger.warn('a disk is full', { freeBytes: 0 });
    logger.level = 'debug';
    logger.debug('seen now');
    expect(lines).toHaveLength(2);
    const { time, ...rest } = JSON.parse(lines[0]!);
    expect(rest).toEqual({ level: 'warn', service: 'broker', event: 'a disk is full', freeBytes: 0 });
    expect(Date.parse(time)).not.toBeNaN();
  });
});

describe('the HTTP server', () => {
  let server: HttpServer;
  afterEach(() => server.stop());

  test('serves metrics and probes, and nothing else', async () => {
    const probes = new Probes('The log is being opened.');
    let problem: string | undefined;
    probes.askWhetherReady(() => problem);
    server = await startHttpServer({
      host: '127.0.0.1',
      port: 0,
      metrics: createMetrics({ labels, processMetrics: false }),
      probes,
    });
    const told = async (path: string) => {
      const response = await get(path);
      return `${response.status} ${await response.text()}`;
    };
    const get = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    expect(await (await get('/metrics')).text()).toContain('# TYPE rocketmq_messages_in_total counter');
    expect(await told('/startupz')).toBe('503 The log is being opened.\n');
    expect(await told('/readyz')).toBe('503 The log is being opened.\n');
    probes.progress('The log is being read: 1 of 2 bytes.');
    expect(await told('/startupz')).toBe('503 The log is being read: 1 of 2 bytes.\n');
    expect(await told('/livez')).toBe('200 ok\n');
    probes.started();
    expect(await told('/readyz?verbose')).toBe('200 ok\n');
    problem = 'This replica is not in the in-sync set of its broker set yet.';
    expect(await told('/readyz')).toBe(`503 ${problem}\n`);
    probes.progress('A start that is over stays over.');
    for (const path of ['/startupz', '/livez', '/healthz']) expect(await told(path)).toBe('200 ok\n');
    expect((await get('/')).status).toBe(404);
    expect((await get('/constructor')).status).toBe(404);
    expect((await get('/metrics', 'POST')).status).toBe(405);
  });
});
