// One line of the journal by which processes of one machine agree on a set record. A line stands between line feeds of
// its own and proves its length and content, so that what a killed writer left of one is nothing, for every reader
// alike: the next line begins on a fresh line, and the piece before it does not fit its own head.
import { crc32 } from 'node:zlib';

/** The record became this one, if `expected` was the version in force before the line. */
export interface SwapLine {
  readonly kind: 'swap';
  /** Null: if there was no record. */
  readonly expected: string | null;
  readonly version: string;
  readonly record: string;
}

/** The first line of a later generation: where the one before it ended. */
export interface BaseLine {
  readonly kind: 'base';
  readonly version: string | null;
  readonly record: string | null;
}

/** Nothing behind it counts: the next generation goes on. */
export interface SealLine {
  readonly kind: 'seal';
}

export type JournalLine = SwapLine | BaseLine | SealLine;

/** Of the line; the record in it has its own. */
const FORMAT = 1;

/** The file was written by a later version of the program. */
export class JournalVersionError extends Error {
  constructor(path: string) {
    super(
      `${path} was written by a later version of the program. Start that version in all processes of the set; ` +
        'nothing was changed.',
    );
    this.name = 'JournalVersionError';
  }
}

export function encodeLine(line: JournalLine): Buffer {
  const body = JSON.stringify(line);
  return Buffer.from(`\n${FORMAT} ${Buffer.byteLength(body)} ${crc32(body)} ${body}\n`);
}

/** Undefined for anything that is not a whole line. `text` is what stands between two line feeds. */
export function decodeLine(path: string, text: string): JournalLine | undefined {
  const head = /^(\d{1,4}) (\d{1,8}) (\d{1,10}) /.exec(text);
  if (head === null) return undefined;
  const body = text.slice(head[0].length);
  if (Buffer.byteLength(body) !== Number(head[2]) || crc32(body) !== Number(head[3])) return undefined;
  if (Number(head[1]) !== FORMAT) throw new JournalVersionError(path);
  const line: JournalLine = JSON.parse(body);
  return line;
}
