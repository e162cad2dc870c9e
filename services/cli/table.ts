// Tables for people, and numbers and times as people read them.
import { stripVTControlCharacters } from 'node:util';

/** Columns as wide as their content; columns of numbers stand to the right. The last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => show(row[column]).length)));
  const numeric = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'));
  const line = (cells: readonly (string | number | undefined)[]): string =>
    widths
      .map((width, column) =>
        numeric[column] ? show(cells[column]).padStart(width) : show(cells[column]).padEnd(width),
      )
      .join('  ')
      .trimEnd();
  return [line(head.map((title) => title.toUpperCase())), ...rows.map(line)].join('\n');
}

function show(cell: string | number | undefined): string {
  return typeof cell === 'number' ? String(cell) : printable(cell ?? '').replaceAll('\n', ' ');
}

/** Text of strangers without what would drive the terminal; line breaks and tabs stay. */
export function printable(text: string): string {
  let clean = '';
  for (const character of stripVTControlCharacters(text)) {
    const code = character.charCodeAt(0);
    const harmless =
      code === 0x09 || code === 0x0a || (code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code < 0xa0));
    clean += harmless ? character : `\\x${code.toString(16).padStart(2, '0')}`;
  }
  return clean;
}

/** The two largest units: `1d 3h`, `2m 5s`, `12s`, `0s`. */
export function age(milliseconds: number): string {
  let seconds = Math.floor(milliseconds / 1000);
  const parts: string[] = [];
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const amount = Math.floor(seconds / size);
    seconds -= amount * size;
    if (amount > 0) parts.push(`${amount}${unit}`);
  }
  return parts.slice(0, 2).join(' ') || '0s';
}

export function time(epochMs: number): string {
  return epochMs === 0 ? '-' : `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `1 topic`, `2 topics`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}
