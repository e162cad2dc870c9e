// The parts of a snapshot that came after version 1: a list of sections behind the old content, up to the end.
//
//   u16 tag, u32 length, bytes
//
// A section with nothing in it is not written: a feature that nobody uses changes no byte, and programs that do not
// know it still read the snapshot. A tag that this program does not know is refused, because leaving a part of the
// state out would make this replica differ from the others.
import { PayloadReader, PayloadWriter } from './records/bytes.ts';
import type { BrokerState } from './state.ts';

/** Numbers are written to disk and never reused. */
export const SECTION_TAG = {
  timers: 1,
  transactions: 2,
  subscriptions: 3,
  membership: 4,
  lite: 5,
  redriven: 6,
  schedules: 7,
} as const;

export interface SnapshotSection {
  readonly tag: number;
  /** No bytes at all when there is nothing to remember. Equal states give equal bytes. */
  write(state: BrokerState): readonly Buffer[];
  /** The topics and groups are there already. */
  read(state: BrokerState, reader: PayloadReader): void;
}

const TIMERS_VERSION = 1;

/** u8 version (1), then the delayed messages that wait, in rows as `delayed-messages.ts` has them. */
export const TIMERS_SECTION: SnapshotSection = {
  tag: SECTION_TAG.timers,
  write: ({ delayed }) => (delayed.size === 0 ? [] : [Buffer.of(TIMERS_VERSION), delayed.rowBytes()]),
  read: ({ delayed }, reader) => {
    const version = reader.uint8();
    if (version !== TIMERS_VERSION) throw new SnapshotVersionError(`timers of version ${version}`);
    delayed.restore(reader.rest());
  },
};

/** The snapshot was written by a later program: no older one may be used in its place. */
export class SnapshotVersionError extends Error {
  constructor(what: string) {
    super(`A snapshot of the state has ${what}, which this program does not know. Start the version that wrote it.`);
    this.name = 'SnapshotVersionError';
  }
}

const HEAD_BYTES = 6;

export function writeSections(state: BrokerState, sections: readonly SnapshotSection[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (const { tag, write } of sections) {
    const content = write(state);
    const length = content.reduce((sum, chunk) => sum + chunk.length, 0);
    if (length === 0) continue;
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    new PayloadWriter(head, 0).uint16(tag).uint32(length);
    chunks.push(head, ...content);
  }
  return chunks;
}

export function readSections(state: BrokerState, reader: PayloadReader, sections: readonly SnapshotSection[]): void {
  while (reader.left > 0) {
    const tag = reader.uint16();
    const bytes = reader.view(reader.uint32());
    const section = sections.find((each) => each.tag === tag);
    if (section === undefined) throw new SnapshotVersionError(`a section with tag ${tag}`);
    const content = new PayloadReader(bytes, 0, bytes.length);
    section.read(state, content);
    if (content.left > 0) throw new Error(`section ${tag} of a snapshot is longer than what it holds`);
  }
}
