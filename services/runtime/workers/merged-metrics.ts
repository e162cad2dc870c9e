// The metrics of several processes as one page. Each process has a label value of its own, so nothing is added up: a
// counter that begins again at zero because its worker was started anew is seen as that, and sums stay right.

interface Family {
  /** The lines that describe it: the same in every page. */
  readonly head: string;
  readonly series: string[];
}

/** Pages in the text format of Prometheus; metrics of one name become one block, as the format wants it. */
export function mergedMetrics(pages: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const page of pages) {
    for (const block of page.split('\n\n')) {
      const match = /^# HELP (\S+)[^\n]*\n# TYPE [^\n]*/.exec(block);
      if (match === null) continue;
      const [head, name] = [match[0], match[1]!];
      const series = block.slice(head.length).trim();
      const family = families.get(name) ?? { head, series: [] };
      if (series !== '') family.series.push(series);
      families.set(name, family);
    }
  }
  return `${[...families.values()].map(({ head, series }) => [head, ...series].join('\n')).join('\n\n')}\n`;
}
