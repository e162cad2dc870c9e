// Curves as SVG: y on a logarithmic scale, because a latency goes through several powers of ten. Two curves in a row
// belong together and have the same colour.
export interface Lines {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly curves: readonly {
    readonly name: string;
    readonly isDashed: boolean;
    readonly points: readonly { readonly x: number; readonly y: number }[];
  }[];
}

const WIDTH = 720;
const HEIGHT = 420;
const LEFT = 60;
const RIGHT = 20;
const TOP = 40;
const BOTTOM = 50;
const KEY_WIDTH = 190;
const KEY_ROW = 16;
const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#7f7f7f'];

const escaped = (content: string): string => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** 1, 2 or 5 times a power of ten, so that there are at most six steps. */
function stepOf(largest: number): number {
  const power = 10 ** Math.floor(Math.log10(largest / 6));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => largest / step <= 6)!;
}

export function linePlot({ title, x, y, curves }: Lines): string {
  const all = curves.flatMap(({ points }) => points);
  const xEnd = Math.max(...all.map((point) => point.x));
  const [yLow, yHigh] = [
    Math.floor(Math.log10(Math.min(...all.map((point) => point.y)))),
    Math.ceil(Math.log10(Math.max(...all.map((point) => point.y)))),
  ];
  const xAt = (value: number): number => LEFT + (value / xEnd) * (WIDTH - LEFT - RIGHT);
  const yAt = (value: number): number =>
    HEIGHT - BOTTOM - ((Math.log10(value) - yLow) / (yHigh - yLow)) * (HEIGHT - TOP - BOTTOM);
  const parts: string[] = [];
  for (let power = yLow; power <= yHigh; power++) {
    const at = yAt(10 ** power).toFixed(1);
    parts.push(`<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#ddd"/>`);
    parts.push(
      `<text x="${LEFT - 6}" y="${Number(at) + 4}" text-anchor="end">${Number((10 ** power).toPrecision(1))}</text>`,
    );
  }
  for (let value = 0; value <= xEnd; value += stepOf(xEnd)) {
    const label = value.toLocaleString('en');
    parts.push(`<text x="${xAt(value).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label}</text>`);
  }
  curves.forEach(({ name, isDashed, points }, i) => {
    const colour = COLOURS[(i >> 1) % COLOURS.length];
    const stroke = `stroke="${colour}" stroke-width="2"${isDashed ? ' stroke-dasharray="5 3"' : ''}`;
    const path = points.map((point) => `${xAt(point.x).toFixed(1)} ${yAt(point.y).toFixed(1)}`).join('L');
    parts.push(`<path d="M${path}" fill="none" ${stroke}/>`);
    for (const point of points) {
      parts.push(`<circle cx="${xAt(point.x).toFixed(1)}" cy="${yAt(point.y).toFixed(1)}" r="3" fill="${colour}"/>`);
    }
    const keyY = TOP + 8 + i * KEY_ROW;
    const keyX = LEFT + 14;
    parts.push(`<path d="M${keyX} ${keyY}h24" ${stroke}/>`);
    parts.push(`<text x="${keyX + 30}" y="${keyY + 4}">${escaped(name)}</text>`);
  });
  const keyHeight = curves.length * KEY_ROW + 8;
  const keyBox = `<rect x="${LEFT + 6}" y="${TOP - 4}" width="${KEY_WIDTH}" height="${keyHeight}" fill="#fff"/>`;
  const grid = parts.filter((part) => part.includes('#ddd'));
  const rest = parts.filter((part) => !part.includes('#ddd'));
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" ` +
    `font-family="sans-serif" font-size="12">\n<title>${escaped(title)}</title>\n` +
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>\n` +
    `<text x="10" y="22" font-size="15" font-weight="bold">${escaped(`${title} (${y})`)}</text>\n` +
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(x)}</text>\n` +
    `${grid.join('\n')}\n${keyBox}\n${rest.join('\n')}\n</svg>\n`
  );
}
