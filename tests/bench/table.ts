// Turns runs of the load generator into one Markdown table: the median of the repeats for each case and server.

export interface Measured {
  readonly server: string;
  readonly case: string;
  /** What the load generator printed. */
  readonly result: Readonly<Record<string, unknown>>;
}

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

interface Use {
  readonly server_us_per_msg: number;
  readonly server_rss_mb: number;
  readonly server_anon_mb: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function show(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1_000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The latency that the case is about: end to end, else of the receive, else of the send. */
function latencyOf(result: Measured['result']): Latency | undefined {
  return (result.e2e_ms ?? result.receive_ms ?? result.send_ms ?? undefined) as Latency | undefined;
}

export function table(measured: readonly Measured[]): string {
  const groups = new Map<string, Measured[]>();
  for (const one of measured) {
    const key = `${one.case}\n${one.server}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const lines = [
    '| case | server | msg/s | p50 ms | p99 ms | server CPU µs/msg | msg per CPU-second ' +
      '| RSS MiB (anonymous) | errors, missing, twice |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const group of groups.values()) {
    const { server, case: name } = group[0]!;
    const of = (pick: (result: Measured['result']) => unknown): number =>
      median(group.map(({ result }) => Number(pick(result) ?? Number.NaN)));
    const use = (result: Measured['result']): Use => result.use as Use;
    const cpu = of((result) => use(result).server_us_per_msg);
    const count = (field: string): number => group.reduce((sum, { result }) => sum + Number(result[field] ?? 0), 0);
    lines.push(
      `| ${name} | ${server} | ${show(of((result) => result.msgs_per_s))} ` +
        `| ${show(of((result) => latencyOf(result)?.p50))} ` +
        `| ${show(of((result) => latencyOf(result)?.p99))} | ${show(cpu)} | ${show(1e6 / cpu)} ` +
        `| ${show(of((result) => use(result).server_rss_mb))} (${show(of((result) => use(result).server_anon_mb))}) ` +
        `| ${count('errors')}, ${count('missing')}, ${count('twice')} |`,
    );
  }
  return lines.join('\n');
}

/**
 * Each server as a multiple of the one named, for runs that were made in turns: the ratio of the runs of one turn, and
 * of those the median with the least and the greatest, which tells how much is noise.
 */
export function ratios(measured: readonly Measured[], reference: string): string {
  const lines = [
    `| case | compared with ${reference} | msg/s | p50 | p99 | server CPU per message |`,
    '|---|---|---|---|---|---|',
  ];
  const runsOf = (name: string, server: string): Measured['result'][] =>
    measured.filter((one) => one.case === name && one.server === server).map(({ result }) => result);
  for (const name of new Set(measured.map((one) => one.case))) {
    const base = runsOf(name, reference);
    for (const server of new Set(measured.map((one) => one.server))) {
      if (server === reference) continue;
      const runs = runsOf(name, server);
      const ratio = (pick: (result: Measured['result']) => number | undefined): string => {
        const each = runs.map((result, turn) => Number(pick(result)) / Number(pick(base[turn]!)));
        return `${show(median(each))} (${show(Math.min(...each))} to ${show(Math.max(...each))})`;
      };
      lines.push(
        `| ${name} | ${server} | ${ratio((result) => Number(result.msgs_per_s))} ` +
          `| ${ratio((result) => latencyOf(result)?.p50)} | ${ratio((result) => latencyOf(result)?.p99)} ` +
          `| ${ratio((result) => (result.use as Use).server_us_per_msg)} |`,
      );
    }
  }
  return lines.join('\n');
}
