// Measures what SQL filters cost for each message: the compiled filter alone, on stored messages with ten properties
// and 100 subscriptions that each judge every one of them; and what compiling an expression costs.
// Run: node tests/bench/filters.ts [messages]
import { type SqlFilter, sqlFilterOf } from '@fulmar/core/filter/sql-filter.ts';
import { messageWith } from '@fulmar/core/filter/testing.ts';
import { LIMITS } from '@fulmar/core/limits.ts';

const SUBSCRIPTIONS = 100;
const messages = Number(process.argv[2] ?? 20_000);

const stored = Array.from({ length: 1_000 }, (_, i) => {
  const properties: Record<string, string> = {};
  for (let at = 0; at < 8; at++) properties[`property${at}`] = `value number ${(i * 7 + at) % 100}`;
  properties.price = String(i % 500);
  properties.region = `region-${i % 10}`;
  return messageWith(properties, `tag-${i % 5}`, [`order-${i}`]);
});

/** Of every hundred subscriptions, as many as each line says. */
const SHAPES: readonly [string, (i: number) => string][] = [
  ['one comparison', (i) => `price > ${i * 5}`],
  ['three comparisons', (i) => `price BETWEEN ${i} AND ${i + 50} AND region = 'region-${i % 10}'`],
  [
    'ten comparisons',
    (i) =>
      `(price > ${i} OR property3 CONTAINS '${i}') AND region IN ('region-1', 'region-2', 'region-${i % 10}') ` +
      `AND property1 IS NOT NULL AND NOT property2 = 'value number ${i}' AND TAGS <> 'tag-4'`,
  ],
  ['as costly as allowed', (i) => Array.from({ length: LIMITS.filterCost }, (_, n) => `price=${n + i}`).join(' OR ')],
];

function compiled(shape: (i: number) => string): SqlFilter[] {
  return Array.from({ length: SUBSCRIPTIONS }, (_, i) => {
    const { value, fault } = sqlFilterOf(shape(i));
    if (fault !== undefined) throw new Error(fault.message);
    return value;
  });
}

function judgeAll(filters: readonly SqlFilter[], count: number): number {
  let passed = 0;
  for (const { passes } of filters) {
    for (let at = 0; at < count; at++) if (passes(stored[at % stored.length]!)) passed++;
  }
  return passed;
}

process.stdout.write(
  `${SUBSCRIPTIONS} subscriptions, each judges ${messages} messages of 10 properties\n\n` +
    '| filter | comparisons | compile (us) | a message and subscription (us) | a message, all 100 (us) | passed |\n' +
    '|---|---|---|---|---|---|\n',
);
for (const [name, shape] of SHAPES) {
  const filters = compiled(shape);
  const count = filters[0]!.cost > 100 ? Math.ceil(messages / 10) : messages;
  judgeAll(filters, Math.ceil(count / 10));
  const compilingAt = performance.now();
  compiled(shape);
  const compileMicroseconds = ((performance.now() - compilingAt) / SUBSCRIPTIONS) * 1_000;
  const cpuBefore = process.cpuUsage();
  const passed = judgeAll(filters, count);
  const { user } = process.cpuUsage(cpuBefore);
  const each = user / (count * SUBSCRIPTIONS);
  process.stdout.write(
    `| ${name} | ${filters[0]!.cost} | ${compileMicroseconds.toFixed(1)} | ${each.toFixed(2)} | ` +
      `${(each * SUBSCRIPTIONS).toFixed(0)} | ${((100 * passed) / (count * SUBSCRIPTIONS)).toFixed(0)} % |\n`,
  );
}
