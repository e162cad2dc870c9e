// What is shipped for watching a cluster: alert rules that fire when they should and only then, a page for each that
// says what to do, and dashboards that ask only for what the services tell.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { METRICS, PROCESS_METRICS } from '@fulmar/runtime/metrics-table.ts';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ALERT_CASES, type AlertCase } from './monitoring/alert-cases.ts';
import { draw, show } from './monitoring/drawing.ts';
import { metricsIn, RUNBOOKS, readAlerts, readDashboards, ruleFiles } from './monitoring/files.ts';
import { promtool } from './monitoring/promtool.ts';
import { ROOT } from './tidy/files.ts';

const directory = mkdtempSync(join(tmpdir(), 'fulmar-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const alerts = readAlerts();
const dashboards = readDashboards();
const known = new Set([...METRICS, ...PROCESS_METRICS].map(({ name }) => name));

/** What promtool finds wrong with a case of one alert. */
function verdict(of: AlertCase, series: AlertCase['fires'], firing: boolean): string | undefined {
  const { alert, afterMinutes, labels, summary } = of;
  const runbook_url = `docs/runbooks/${alert}.md`;
  const expected = firing ? [{ exp_labels: labels, exp_annotations: { summary, runbook_url } }] : [];
  const tests = {
    rule_files: ruleFiles(),
    evaluation_interval: '30s',
    tests: [
      {
        interval: '30s',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [{ eval_time: `${afterMinutes}m`, alertname: alert, exp_alerts: expected }],
      },
    ],
  };
  const path = join(directory, 'case.yaml');
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(tests));
  return promtool('test', 'rules', path);
}

describe('alert rules', () => {
  test('are taken by Prometheus', () => {
    expect(promtool('check', 'rules', ...ruleFiles())).toBeUndefined();
  });

  test.each(ALERT_CASES)('$alert fires after $afterMinutes min and says why: $summary', (of) => {
    expect(verdict(of, of.fires, true)).toBeUndefined();
  });

  test.each(ALERT_CASES)('$alert stays quiet when what happens is ordinary (against: $summary)', (of) => {
    expect(verdict(of, of.quiet, false)).toBeUndefined();
  });

  test('a case that is wrong is found', () => {
    const [of] = ALERT_CASES;
    expect(verdict(of!, of!.quiet, true)).toContain('FAILED');
    expect(verdict({ ...of!, summary: 'Another.' }, of!.fires, true)).toContain('FAILED');
  });

  test('each has a case, a severity and a name of its own', () => {
    const names = alerts.map(({ name }) => name).sort();
    expect([...new Set(ALERT_CASES.map(({ alert }) => alert))].sort()).toEqual(names);
    for (const { rule } of alerts) expect(rule).toMatch(/severity: (critical|warning)/);
  });

  test('each leads to its page, and there is no page without an alert', () => {
    expect(alerts.map(({ runbook }) => runbook)).toEqual(alerts.map(({ name }) => `docs/runbooks/${name}.md`));
    expect(readdirSync(RUNBOOKS).sort()).toEqual(alerts.map(({ name }) => `${name}.md`).sort());
  });

  test('each page says what it means, what suffers, how to look and what to do', () => {
    for (const { name, runbook } of alerts) {
      const text = readFileSync(join(ROOT, runbook), 'utf8');
      expect(text.split('\n', 1)[0]).toBe(`# ${name}`);
      const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
      expect(headings).toEqual(['Meaning', 'Impact', 'Diagnosis', 'Mitigation']);
    }
  });
});

describe('the picture of dashboards', () => {
  test('has every panel, with what was asked for or the words that there is nothing', () => {
    const [dashboard] = dashboards;
    const points = [
      [0, 1],
      [60, 2],
    ] as const;
    const answers = new Map([[2, [{ legend: 'a < b', series: { labels: {}, points } }]]]);
    const picture = draw([{ dashboard: dashboard!, answers }], { from: 0, to: 120 });
    expect(picture).toContain('>a &lt; b</text>');
    for (const { title } of dashboard!.panels) expect(picture).toContain(`>${title}</text>`);
    expect(picture.match(/>no data</g)).toHaveLength(dashboard!.panels.filter(({ type }) => type !== 'row').length - 1);
  });

  test.each([
    [0, 'bytes', '0 B'],
    [1_536, 'bytes', '1.5 KiB'],
    [64 * 1024 ** 2, 'Bps', '64 MiB/s'],
    [0.5, 'percentunit', '50 %'],
    [0.25, 'ms', '250 µs'],
    [90, 's', '90 s'],
    [600, 's', '10 min'],
    [12_345, 'short', '12.3 k'],
  ])('writes %d %s as %s', (value, unit, expected) => {
    expect(show(value, unit)).toBe(expected);
  });
});

describe('what alerts and dashboards ask for', () => {
  test('is in the table of metrics', () => {
    const asked = [...alerts.map(({ rule }) => rule), ...dashboards.map((each) => JSON.stringify(each))];
    expect(asked.flatMap(metricsIn).filter((name) => !known.has(name))).toEqual([]);
    expect(metricsIn('rate(fulmar_log_flush_seconds_bucket[1m]) / rocketmq_no_such')).toEqual([
      'fulmar_log_flush_seconds',
      'rocketmq_no_such',
    ]);
  });

  test('is asked of the data source that is chosen, by panels with a unit that do not lie on each other', () => {
    for (const { title, panels, templating } of dashboards) {
      expect(templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
      const taken = new Set<string>();
      for (const { type, gridPos, targets = [], datasource, fieldConfig, ...panel } of panels) {
        const where = `${title}: ${panel.title}`;
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            expect({ where, isFree: x < 24 && !taken.has(`${x} ${y}`) }).toEqual({ where, isFree: true });
            taken.add(`${x} ${y}`);
          }
        }
        if (type === 'row') continue;
        expect({ where, uid: datasource?.uid }).toEqual({ where, uid: expect.stringMatching(/^\$\{datasource\}$/) });
        expect({ where, asks: targets.length > 0 }).toEqual({ where, asks: true });
        expect({ where, unit: typeof fieldConfig?.defaults.unit }).toEqual({ where, unit: 'string' });
      }
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    }
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(3);
  });
});
