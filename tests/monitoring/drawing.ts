// Draws dashboards as they are shipped into one SVG, from what Prometheus answered to their queries: the same panels in
// the same places, without Grafana. Pure: text in, text out.
import type { Dashboard, Panel } from './files.ts';
import type { Series } from './prometheus.ts';

export interface Answered {
  readonly legend: string;
  readonly series: Series;
}

export interface Drawing {
  readonly dashboard: Dashboard;
  /** What the queries of each panel gave, by the id of the panel. */
  readonly answers: ReadonlyMap<number, readonly Answered[]>;
}

/** Seconds since 1970 between which everything is drawn. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const CELL_WIDTH = 60;
const CELL_HEIGHT = 30;
const MARGIN = 24;
const GAP = 8;
const HEAD_HEIGHT = 74;
const COLOURS = ['#2f6fb7', '#d9822b', '#3a9b6d', '#b8405e', '#7a5bb5', '#8a7a2f', '#2b9bb3', '#7d8794'];
const INK = '#20262d';
const FAINT = '#6b7680';
const LINE = '#e6e9ed';
const CHARACTER_WIDTH = 6.4;
const LEGEND_LINES = 2;
const LEGEND_LINE_HEIGHT = 15;

export function draw(drawings: readonly Drawing[], span: Span): string {
  const width = 24 * CELL_WIDTH + 2 * MARGIN;
  const parts: string[] = [];
  let top = 0;
  for (const drawing of drawings) {
    parts.push(drawDashboard(drawing, span, top));
    top += HEAD_HEIGHT + heightOf(drawing.dashboard);
  }
  const height = top + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    ` font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="11">`,
    '<title>The dashboards of Fulmar during a run of a real cluster</title>\n',
    `<rect width="${width}" height="${height}" fill="#f4f6f8"/>\n${parts.join('\n')}\n</svg>\n`,
  ].join('');
}

function heightOf({ panels }: Dashboard): number {
  return CELL_HEIGHT * Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
}

function drawDashboard({ dashboard, answers }: Drawing, span: Span, top: number): string {
  const title =
    text(MARGIN + 4, top + 40, dashboard.title, `font-size="20" font-weight="600" fill="${INK}"`) +
    text(MARGIN + 4, top + 60, dashboard.description ?? '', `font-size="12" fill="${FAINT}"`);
  const panels = dashboard.panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const box = {
      x: MARGIN + x * CELL_WIDTH + GAP / 2,
      y: top + HEAD_HEIGHT + y * CELL_HEIGHT + GAP / 2,
      width: w * CELL_WIDTH - GAP,
      height: h * CELL_HEIGHT - GAP,
    };
    if (panel.type === 'row')
      return text(box.x, box.y + 15, panel.title, `font-size="14" font-weight="600" fill="${INK}"`);
    const found = answers.get(panel.id) ?? [];
    return frame(box, panel) + (panel.type === 'stat' ? stat(box, panel, found) : chart(box, panel, found, span));
  });
  return [title, ...panels].join('\n');
}

function frame({ x, y, width, height }: Box, { title }: Panel): string {
  return (
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" fill="#fff" stroke="${LINE}"/>` +
    text(x + 12, y + 20, title, `font-size="12" font-weight="600" fill="${INK}"`)
  );
}

function stat({ x, y, width, height }: Box, panel: Panel, found: readonly Answered[]): string {
  const value = found[0]?.series.points.at(-1)?.[1];
  const shown = value === undefined ? 'no data' : show(value, unitOf(panel));
  const style = `font-size="30" font-weight="600" text-anchor="middle" fill="${COLOURS[0]}"`;
  return text(x + width / 2, y + height / 2 + 20, shown, style);
}

function chart(box: Box, panel: Panel, found: readonly Answered[], span: Span): string {
  const plot = {
    x: box.x + 62,
    y: box.y + 34,
    width: box.width - 86,
    height: box.height - 34 - 28 - LEGEND_LINES * LEGEND_LINE_HEIGHT,
  };
  const values = found.flatMap(({ series }) => series.points.map(([, value]) => value)).filter(Number.isFinite);
  const { step, top } = scaleOf(Math.max(0, ...values), unitOf(panel));
  const xOf = (time: number): number => plot.x + (plot.width * (time - span.from)) / (span.to - span.from);
  const yOf = (value: number): number => plot.y + plot.height * (1 - value / top);
  const lines: string[] = [];
  for (let value = 0; value <= top * 1.001; value += step) {
    const y = round(yOf(value));
    lines.push(`<path d="M${plot.x} ${y}h${plot.width}" stroke="${LINE}"/>`);
    lines.push(text(plot.x - 6, y + 4, show(value, unitOf(panel)), `text-anchor="end" fill="${FAINT}"`));
  }
  for (const minutes of timesOf(span)) {
    const style = `text-anchor="middle" fill="${FAINT}"`;
    lines.push(text(xOf(span.from + 60 * minutes), plot.y + plot.height + 15, `${minutes} min`, style));
  }
  for (const [i, { series }] of found.entries()) lines.push(curve(series, colour(i), xOf, yOf));
  if (values.length === 0) {
    lines.push(
      text(plot.x + plot.width / 2, plot.y + plot.height / 2, 'no data', `text-anchor="middle" fill="${FAINT}"`),
    );
  }
  return lines.join('') + legend({ ...box, y: plot.y + plot.height + 22 }, found);
}

function curve(
  { points }: Series,
  stroke: string,
  xOf: (time: number) => number,
  yOf: (value: number) => number,
): string {
  let path = '';
  let before: number | undefined;
  const gap = 2.5 * Math.min(...points.slice(1).map(([time], i) => time - points[i]![0]));
  for (const [time, value] of points) {
    if (!Number.isFinite(value)) {
      before = undefined;
      continue;
    }
    const isNew = before === undefined || time - before > gap;
    path += `${isNew ? 'M' : 'L'}${round(xOf(time))} ${round(yOf(value))}`;
    before = time;
  }
  return path === ''
    ? ''
    : `<path d="${path}" fill="none" stroke="${stroke}" stroke-width="1.5" stroke-linejoin="round"/>`;
}

function legend({ x, y, width }: Box, found: readonly Answered[]): string {
  const names = new Map<string, string>();
  for (const [i, { legend }] of found.entries()) if (!names.has(legend)) names.set(legend, colour(i));
  const parts: string[] = [];
  let left = x + 14;
  let line = 0;
  for (const [name, fill] of names) {
    const needed = 24 + name.length * CHARACTER_WIDTH;
    if (left + needed > x + width && left > x + 14) {
      left = x + 14;
      line++;
    }
    if (line >= LEGEND_LINES) break;
    const middle = y + line * LEGEND_LINE_HEIGHT;
    parts.push(`<rect x="${round(left)}" y="${middle + 5}" width="10" height="3" rx="1.5" fill="${fill}"/>`);
    parts.push(text(left + 14, middle + 10, name, `fill="${INK}"`));
    left += needed;
  }
  return parts.join('');
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

function unitOf({ fieldConfig }: Panel): string {
  return fieldConfig?.defaults.unit ?? 'short';
}

/** Three to five steps that people can read, so that the largest value has room. */
function scaleOf(largest: number, unit: string): { readonly step: number; readonly top: number } {
  if (largest === 0) return { step: 1, top: 1 };
  const base = unit === 'bytes' || unit === 'Bps' ? 1024 ** Math.floor(Math.log(largest) / Math.log(1024)) : 1;
  const rough = largest / base / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = base * power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough)!;
  return { step, top: step * Math.max(1, Math.ceil((largest / step) * 1.0001)) };
}

function timesOf({ from, to }: Span): readonly number[] {
  const minutes = (to - from) / 60;
  const step = [1, 2, 5, 10, 20, 60].find((candidate) => minutes / candidate <= 6) ?? 120;
  return Array.from({ length: Math.floor(minutes / step) + 1 }, (_, i) => i * step);
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function show(value: number, unit: string): string {
  switch (unit) {
    case 'percentunit':
      return `${short(value * 100)} %`;
    case 'ms':
      return seconds(value / 1_000);
    case 's':
      return seconds(value);
    case 'bytes':
    case 'Bps': {
      const power = value < 1 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log(value) / Math.log(1024)));
      return `${short(value / 1024 ** power)} ${BYTES[power]}${unit === 'Bps' ? '/s' : ''}`;
    }
    default:
      return value >= 10_000 ? `${short(value / 1_000)} k` : short(value);
  }
}

function seconds(value: number): string {
  if (value === 0) return '0';
  if (value < 0.001) return `${short(value * 1_000_000)} µs`;
  if (value < 1) return `${short(value * 1_000)} ms`;
  return value < 120 ? `${short(value)} s` : `${short(value / 60)} min`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function text(x: number, y: number, content: string, style: string): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" ${style}>${safe}</text>`;
}
