// Durations and sizes as people write them, with their units, and back again.

const DURATION_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const SIZE_UNITS = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['', 1],
] as const;

/** Milliseconds; a number without a unit is only taken for 0. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  return parse(text, DURATION_UNITS);
}

export function parseBytes(text: string): number | undefined {
  return parse(text, SIZE_UNITS);
}

function parse(text: string, units: readonly (readonly [string, number])[]): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text.trim());
  const factor = units.find(([unit]) => unit === match?.[2])?.[1];
  if (match === null || factor === undefined) return undefined;
  const value = Number(match[1]) * factor;
  return Number.isSafeInteger(value) ? value : undefined;
}

export function showDuration(milliseconds: number): string {
  return milliseconds === 0 ? '0' : show(milliseconds, DURATION_UNITS);
}

export function showBytes(bytes: number): string {
  return bytes === 0 ? '0' : show(bytes, SIZE_UNITS);
}

function show(value: number, units: readonly (readonly [string, number])[]): string {
  const [unit, factor] = units.find(([, factor]) => value % factor === 0)!;
  return `${value / factor}${unit}`;
}
