// A CPU profile of V8 as a flame graph: width is time, what is above was called by what is below. What took too little
// to be seen is left out, and so is the time in which the process had nothing to do.

interface Node {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

export interface Profile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface Frame {
  readonly name: string;
  time: number;
  readonly callees: Map<string, Frame>;
}

const WIDTH = 1_200;
const ROW = 17;
const LEAST_SHARE = 0.004;
/** Of the event loop and of loading, which say nothing. */
const LEFT_OUT = new Set(['(idle)', '(root)']);

function nameOf({ callFrame: { functionName, url } }: Node): string {
  const file = /(?:services|node_modules)\/(.*)$/.exec(url)?.[1] ?? url.replace(/^node:/, 'node:');
  const name = functionName === '' ? '(anonymous)' : functionName;
  return file === '' ? name : `${name}  ${file}`;
}

function framesOf({ nodes, samples, timeDeltas }: Profile): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const root: Frame = { name: 'all', time: 0, callees: new Map() };
  for (const [i, sample] of samples.entries()) {
    const stack: string[] = [];
    for (let id: number | undefined = sample; id !== undefined; id = callers.get(id)) stack.push(nameOf(byId.get(id)!));
    if (stack[0] === '(idle)') continue;
    const time = timeDeltas[i]!;
    root.time += time;
    let frame = root;
    for (const name of stack.reverse()) {
      if (LEFT_OUT.has(name)) continue;
      let callee = frame.callees.get(name);
      if (callee === undefined) {
        callee = { name, time: 0, callees: new Map() };
        frame.callees.set(name, callee);
      }
      callee.time += time;
      frame = callee;
    }
  }
  return root;
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

export function flame(profile: Profile, title: string): string {
  const root = framesOf(profile);
  const rects: { readonly x: number; readonly depth: number; readonly width: number; readonly frame: Frame }[] = [];
  const place = (frame: Frame, x: number, depth: number): void => {
    const width = (frame.time / root.time) * WIDTH;
    rects.push({ x, depth, width, frame });
    let at = x;
    for (const callee of [...frame.callees.values()].sort((a, b) => b.time - a.time)) {
      if (callee.time / root.time < LEAST_SHARE) continue;
      place(callee, at, depth + 1);
      at += (callee.time / root.time) * WIDTH;
    }
  };
  place(root, 0, 0);
  const height = (Math.max(...rects.map(({ depth }) => depth)) + 1) * ROW + 34;
  const boxes = rects.map(({ x, depth, width, frame }) => {
    const y = height - (depth + 1) * ROW - 4;
    const share = ((100 * frame.time) / root.time).toFixed(1);
    const room = Math.floor(width / 6.2);
    const label = room < 4 ? '' : escaped(frame.name.length > room ? `${frame.name.slice(0, room - 1)}…` : frame.name);
    const hue = 20 + ((frame.name.length * 37) % 40);
    return (
      `<g><title>${escaped(frame.name)} ${share} %</title><rect x="${x.toFixed(1)}" y="${y}" ` +
      `width="${width.toFixed(1)}" height="${ROW - 1}" fill="hsl(${hue} 85% 68%)"/>` +
      `${label === '' ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${label}</text>`}</g>`
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
    `font-family="monospace" font-size="10">\n<title>${escaped(title)}</title>\n` +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n` +
    `<text x="6" y="18" font-size="14">${escaped(title)}</text>\n${boxes.join('\n')}\n</svg>\n`
  );
}
