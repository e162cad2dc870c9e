// The alert rules and dashboards as they are shipped, and the names of metrics in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../tidy/files.ts';

export const ALERTS = join(ROOT, 'charts/fulmar/files/alerts');
export const DASHBOARDS = join(ROOT, 'charts/fulmar/files/dashboards');
export const RUNBOOKS = join(ROOT, 'docs/runbooks');

export interface Alert {
  readonly name: string;
  readonly file: string;
  /** The rule without its annotations. */
  readonly rule: string;
  readonly runbook: string;
}

export function ruleFiles(): readonly string[] {
  return readdirSync(ALERTS).map((name) => join(ALERTS, name));
}

/** Read by their layout, which promtool has found to be good. */
export function readAlerts(): readonly Alert[] {
  return ruleFiles().flatMap((file) => {
    const [, ...rules] = readFileSync(file, 'utf8').split(/^ +- alert: /m);
    return rules.map((text) => {
      const [rule = '', annotations = ''] = text.split(/^ +annotations:$/m);
      const name = rule.split('\n', 1)[0]!;
      return { name, file, rule, runbook: /runbook_url: (\S+)/.exec(annotations)?.[1] ?? '' };
    });
  });
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: {
    readonly defaults: { readonly unit?: string; readonly min?: number; readonly max?: number };
  };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly legendFormat?: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description?: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

export function readDashboards(): readonly Dashboard[] {
  const names = readdirSync(DASHBOARDS).sort();
  return names.map((name) => JSON.parse(readFileSync(join(DASHBOARDS, name), 'utf8')));
}

/** With everything chosen and this window in place of Grafana's variables. */
export function filledIn(expr: string, window: string): string {
  return expr
    .replaceAll('$__rate_interval', window)
    .replaceAll('$__range', window)
    .replaceAll(/\$(cluster|topic|group|set)\b/g, '.*');
}

/** Names of metrics, without what histograms append. */
export function metricsIn(text: string): readonly string[] {
  const names = text.match(/\b(?:rocketmq|fulmar|process|nodejs)_[a-z0-9_]+/g) ?? [];
  return [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, '')))];
}
