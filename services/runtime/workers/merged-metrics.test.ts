import { describe, expect, test } from '@jest/globals';
import { createMetrics } from '../metrics.ts';
import { mergedMetrics } from './merged-metrics.ts';

function pageOf(node: string, topics: Readonly<Record<string, number>>): Promise<string> {
  const metrics = createMetrics({ labels: { node_id: node }, processMetrics: false });
  for (const [topic, sent] of Object.entries(topics)) {
    metrics.observer.count('rocketmq_messages_in_total', { topic, message_type: 'normal' }, sent);
    metrics.observer.observe('rocketmq_message_size', { topic, message_type: 'normal' }, sent);
  }
  return metrics.text();
}

describe('the metrics of several processes on one page', () => {
  test('keep every series of each, and describe each metric once, before its series', async () => {
    const pages = [await pageOf('p/0', { T: 3 }), await pageOf('p/1', { T: 4, 'odd "\n\n# HELP x y': 1 })];
    const merged = mergedMetrics(pages);
    const series = (page: string): string[] => page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(series(merged).sort()).toEqual(pages.flatMap(series).sort());
    const sent = series(merged).filter((line) => line.startsWith('rocketmq_messages_in_total'));
    expect(sent.map((line) => line.slice(line.lastIndexOf(' ') + 1))).toEqual(['3', '4', '1']);

    const seen = new Set<string>();
    for (const block of merged.trimEnd().split('\n\n')) {
      const [help, type, ...lines] = block.split('\n');
      const name = help!.split(' ')[2]!;
      expect(seen.has(name)).toBe(false);
      seen.add(name);
      expect(type).toMatch(new RegExp(`^# TYPE ${name} `));
      for (const line of lines) expect(line.startsWith(name)).toBe(true);
    }
    expect(seen.has('rocketmq_message_size')).toBe(true);
  });

  test('of one process are its own page', async () => {
    const page = await pageOf('p', { T: 3 });
    expect(mergedMetrics([page])).toBe(page);
  });
});
