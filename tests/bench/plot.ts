// Bars as SVG: a group for each case, a bar for each server, and a line where the aim is. Written by hand, because a
// library for this is larger than everything that is measured.

export interface Bars {
  readonly title: string;
  readonly unit: string;
  readonly groups: readonly {
    readonly name: string;
    readonly bars: readonly { readonly server: string; readonly value: number }[];
    readonly aim?: number;
  }[];
}

const WIDTH = 720;
const LEFT = 250;
const RIGHT = 90;
const BAR = 16;
const GAP = 14;
const TOP = 46;
const CUT_OFF = 4;
const COLOURS = ['#1f77b4', '#6baed6', '#d62728', '#ff9896', '#7f7f7f'];

const escaped = (content: string): string => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${x}" y="${y}" ${more}>${escaped(content)}</text>`;

export function plot({ title, unit, groups }: Bars): string {
  const servers = [...new Set(groups.flatMap(({ bars }) => bars.map(({ server }) => server)))];
  const largest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)));
  const leading = Math.max(...groups.map(({ bars, aim }) => Math.max(bars[0]?.value ?? 0, aim ?? 0)));
  // One that is far behind is cut off, and its number tells how long it would be.
  const end = Math.max(leading, Math.min(largest, CUT_OFF * leading));
  const scale = (WIDTH - LEFT - RIGHT) / end;
  const parts: string[] = [];
  let y = TOP;
  for (const { name, bars, aim } of groups) {
    const height = bars.length * BAR;
    parts.push(text(LEFT - 10, y + height / 2 + 4, name, 'text-anchor="end"'));
    for (const [i, { server, value }] of bars.entries()) {
      const colour = COLOURS[servers.indexOf(server) % COLOURS.length];
      const width = Math.max(1, Math.round(Math.min(value, end) * scale));
      parts.push(`<rect x="${LEFT}" y="${y + i * BAR}" width="${width}" height="${BAR - 2}" fill="${colour}"/>`);
      parts.push(text(LEFT + width + 5, y + i * BAR + BAR - 5, String(Number(value.toPrecision(3)))));
    }
    if (aim !== undefined) {
      const x = LEFT + Math.round(aim * scale);
      parts.push(`<path d="M${x} ${y - 4}V${y + height + 2}" stroke="#000" stroke-dasharray="3 2"/>`);
    }
    y += height + GAP;
  }
  servers.forEach((server, i) => {
    parts.push(`<rect x="${LEFT}" y="${y + i * BAR}" width="10" height="10" fill="${COLOURS[i % COLOURS.length]}"/>`);
    parts.push(text(LEFT + 16, y + i * BAR + 10, server));
  });
  const height = y + servers.length * BAR + 24;
  parts.push(text(LEFT, height - 8, 'dashed: the aim'));
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
    `font-family="sans-serif" font-size="12">\n<title>${escaped(title)}</title>\n` +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n` +
    `${text(10, 22, `${title} (${unit})`, 'font-size="15" font-weight="bold"')}\n${parts.join('\n')}\n</svg>\n`
  );
}
