// scripts/bench --report: result files into one Markdown table of aims and figures, and plots as SVG. What has not been
// measured is shown as such, never left out.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linePlot } from './line-plot.ts';
import { loadCurves } from './load-curve.ts';
import { type Bars, plot } from './plot.ts';
import { type Measured, median, show } from './table.ts';
import { figureOf, TARGETS, type Target } from './targets.ts';

export function readResults(files: readonly string[]): readonly Measured[] {
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): Measured['result'] => JSON.parse(line))
      // Runs of other systems are told in a table of their own.
      .filter(({ server }) => server !== undefined)
      .map((result): Measured => ({ server: String(result.server), case: String(result.case), result })),
  );
}

function valuesOf(measured: readonly Measured[], server: string, target: Target): readonly number[] {
  return measured
    .filter((one) => one.server === server && one.case === target.case)
    .map(({ result }) => figureOf(result, target.figure))
    .filter(Number.isFinite);
}

function told(values: readonly number[]): string {
  if (values.length === 0) return 'not measured';
  if (values.length === 1) return show(values[0]!);
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))}, n=${values.length})`;
}

export function targetTable(measured: readonly Measured[]): string {
  const lines = ['| what | aim | Fulmar | reached | RocketMQ |', '|---|---|---|---|---|'];
  for (const target of TARGETS) {
    const own = valuesOf(measured, target.server, target);
    const isReached = own.length > 0 && (target.isFloor ? median(own) >= target.aim : median(own) <= target.aim);
    const peers = target.peers.flatMap((peer) => {
      const values = valuesOf(measured, peer, target);
      return values.length === 0 ? [] : [`${peer.replace('RocketMQ ', '')}: ${told(values)}`];
    });
    lines.push(
      `| ${target.name} | ${target.isFloor ? '>=' : '<='} ${show(target.aim)} ${target.unit} | ${told(own)} ` +
        `| ${own.length === 0 ? '' : isReached ? 'yes' : 'no'} | ${peers.join('; ') || 'not measured'} |`,
    );
  }
  return lines.join('\n');
}

/** Files of plots: latency against load, and one for each unit that several rows share. */
export function writePlots(measured: readonly Measured[], directory: string): readonly string[] {
  return [...writeCurves(measured, directory), ...writeBars(measured, directory)];
}

function writeCurves(measured: readonly Measured[], directory: string): readonly string[] {
  const curves = loadCurves(measured);
  if (curves === undefined) return [];
  const file = join(directory, 'speed-load.svg');
  writeFileSync(file, linePlot(curves));
  return [file];
}

function writeBars(measured: readonly Measured[], directory: string): readonly string[] {
  const plots: readonly [string, string, (target: Target) => boolean][] = [
    ['speed-cpu.svg', 'Server CPU for a message', ({ unit, aim }) => unit === 'µs' && aim < 100],
    ['speed-latency.svg', 'Latency', ({ unit, figure }) => unit === 'ms' && figure !== 'start_ms'],
  ];
  return plots.flatMap(([name, title, isIn]) => {
    const rows = TARGETS.filter(isIn);
    const groups: Bars['groups'] = rows.flatMap((target) => {
      const bars = [target.server, ...target.peers].flatMap((server) => {
        const values = valuesOf(measured, server, target);
        return values.length === 0 ? [] : [{ server, value: median(values) }];
      });
      const isMeasured = bars[0]?.server === target.server;
      return isMeasured ? [{ name: shortName(target.name), bars, aim: target.aim }] : [];
    });
    if (groups.length === 0) return [];
    const file = join(directory, name);
    writeFileSync(file, plot({ title, unit: rows[0]!.unit, groups }));
    return [file];
  });
}

function shortName(name: string): string {
  return name.replace(': server CPU a message', '').replace('asynchronous flush', 'async').replace('end to end ', '');
}
