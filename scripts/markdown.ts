// Pieces of the pages that are made from tables.

export const GENERATED =
  '<!-- Generated from tables in the code. Do not edit: change the table, or scripts/docs.ts, ' +
  'and run `node scripts/docs.ts`. -->';

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

export const code = (text: string): string => `\`${text}\``;
