// Finds messages by queue and offset, whether their segment is still being filled (memory) or sealed (index file). A
// queue's sealed segments form a chain from the newest to the oldest; it is followed as far as a question needs and
// remembered. Answers come at once when what they need is in memory, else as a promise.
import { assert } from '@fulmar/core/errors.ts';
import type { Catalogue } from './catalogue.ts';
import { CorruptLogError } from './errors.ts';
import { numberedName } from './file-names.ts';
import { blockOf, decodeEntries, type Link } from './index-file.ts';
import type { IndexFiles } from './index-files.ts';
import type { IndexEntry, QueueKey } from './log.ts';
import { MemoryIndex } from './memory-index.ts';
import { NumberTable } from './number-table.ts';
import { QueueChains } from './queue-chains.ts';

/** An attempt at an answer that needs something from disk first. */
export interface Needed {
  readonly load: () => Promise<void>;
  readonly base: number;
}

/** How far a binary search in the segment at `base` has come. */
interface Search {
  base: number;
  low: number;
  high: number;
}

export class QueueIndex {
  /** Newest sealed segment that holds each queue. */
  heads = new NumberTable();
  private readonly catalogue: Catalogue;
  private readonly files: IndexFiles;
  private readonly directory: string;
  private readonly chains: QueueChains;
  /** Segments whose index file is not durable yet, oldest first; the last one is being filled. */
  private memory: MemoryIndex[] = [];

  constructor(catalogue: Catalogue, files: IndexFiles, directory: string, linksMax: number) {
    this.catalogue = catalogue;
    this.files = files;
    this.directory = directory;
    this.chains = new QueueChains(linksMax);
  }

  start(base: number, heads: NumberTable): void {
    this.heads = heads;
    this.memory = [new MemoryIndex(base)];
  }

  /** Base of the segment that is being indexed. */
  get fillingBase(): number {
    return this.memory[this.memory.length - 1]!.base;
  }

  add(queue: QueueKey, entry: IndexEntry): void {
    this.memory[this.memory.length - 1]!.add(queue, entry);
  }

  /** From now on entries belong to the segment at `base`; returns the index of the one before, which is complete. */
  beginSegment(base: number): MemoryIndex {
    const complete = this.memory[this.memory.length - 1]!;
    this.memory.push(new MemoryIndex(base));
    return complete;
  }

  /** The oldest index in memory is in a durable file now. */
  sealed(index: MemoryIndex): void {
    assert(this.memory[0] === index, 'segments are sealed in order');
    this.memory.shift();
    let entryStart = 0;
    for (const queue of index.queues()) {
      const count = index.count(queue);
      const previousBase = this.heads.get(queue);
      const link = { base: index.base, firstOffset: index.firstOffset(queue)!, count, entryStart, previousBase };
      this.chains.append(queue, link);
      this.heads.set(queue, index.base);
      entryStart += count;
    }
  }

  /** Forgets queues of which retention has left nothing in sealed segments. */
  dropDeadHeads(): void {
    const { startPosition } = this.catalogue;
    const living = new NumberTable();
    this.heads.forEach((queue, base) => {
      if (base >= startPosition) living.set(queue, base);
    });
    this.heads = living;
  }

  entries(queue: QueueKey, fromOffset: number, count: number): IndexEntry[] | Promise<IndexEntry[]> {
    const found: IndexEntry[] = [];
    let from = fromOffset;
    return this.untilLoaded(() => {
      while (found.length < count) {
        const run = this.run(queue, from, count - found.length);
        if (!Array.isArray(run)) return run;
        if (run.length === 0) break;
        for (const entry of run) found.push(entry);
        from = found[found.length - 1]!.queueOffset + 1;
      }
      return found;
    });
  }

  /** The next entries that lie together in one place; none at the end of the queue. */
  private run(queue: QueueKey, from: number, count: number): IndexEntry[] | Needed {
    let oldest: MemoryIndex | undefined;
    for (let i = this.memory.length - 1; i >= 0; i--) {
      const first = this.memory[i]!.firstOffset(queue);
      if (first === undefined) continue;
      oldest = this.memory[i]!;
      if (from >= first) return oldest.entries(queue, from, count);
    }
    const link = this.linkOf(queue, from);
    if (isNeeded(link)) return link;
    if (link === undefined) return oldest?.entries(queue, oldest.firstOffset(queue)!, count) ?? [];
    return this.linkEntries(link, Math.max(from, link.firstOffset), count);
  }

  private linkEntries(link: Link, from: number, count: number): IndexEntry[] | Needed {
    const number = blockOf(link.entryStart + from - link.firstOffset);
    const block = this.files.block(link.base, number);
    if (block === undefined) return { base: link.base, load: () => this.files.loadBlock(link.base, number) };
    return decodeEntries(link, block, from, count);
  }

  /** The sealed segment that holds `from`, or the first one behind it; undefined if no sealed one does. */
  private linkOf(queue: QueueKey, from: number): Link | undefined | Needed {
    const links = this.linksUntil(queue, (oldest) => oldest.firstOffset <= from);
    if (links === undefined || isNeeded(links)) return links;
    let low = 0;
    let high = links.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (links[middle]!.firstOffset + links[middle]!.count <= from) low = middle + 1;
      else high = middle;
    }
    return links[low];
  }

  /** The queue's chain, ascending, followed back until `enough` holds for its oldest link or it ends. */
  private linksUntil(queue: QueueKey, enough: (oldest: Link) => boolean): readonly Link[] | undefined | Needed {
    const { startPosition } = this.catalogue;
    const head = this.heads.get(queue);
    if (head === undefined || head < startPosition) return undefined;
    const chain = this.chains.of(queue, head);
    this.chains.cutBefore(chain, startPosition);
    for (;;) {
      const oldest = chain.links[0];
      const older = chain.olderBase;
      if ((oldest !== undefined && enough(oldest)) || older === undefined || older < startPosition) return chain.links;
      const front = this.files.front(older);
      if (front === undefined) return { base: older, load: () => this.files.loadFront(older) };
      const link = front.find(queue);
      if (link === undefined) {
        throw new CorruptLogError(
          this.indexPath(older),
          0,
          `it lacks queue ${queue}, which a later segment says it holds`,
        );
      }
      this.chains.prepend(chain, link);
    }
  }

  private indexPath(base: number): string {
    return `${this.directory}/${numberedName(base, 'idx')}`;
  }

  minOffset(queue: QueueKey, queueEnd: number): number | Promise<number> {
    return this.untilLoaded(() => {
      // A busy queue is in the oldest segment, which spares following its whole chain.
      const { startPosition } = this.catalogue;
      const head = this.heads.get(queue);
      if (head !== undefined && head >= startPosition) {
        const front = this.files.front(startPosition);
        if (front === undefined) return { base: startPosition, load: () => this.files.loadFront(startPosition) };
        const link = front.find(queue) ?? this.linkOf(queue, 0);
        if (isNeeded(link)) return link;
        if (link !== undefined) return link.firstOffset;
      }
      for (const index of this.memory) {
        const first = index.firstOffset(queue);
        if (first !== undefined) return first;
      }
      return queueEnd;
    });
  }

  offsetAtPosition(queue: QueueKey, position: number, queueEnd: number): number | Promise<number> {
    const search = { base: -1, low: 0, high: 0 };
    return this.untilLoaded(() => {
      let next = queueEnd;
      for (let i = this.memory.length - 1; i >= 0; i--) {
        const index = this.memory[i]!;
        if (index.base <= position) return index.offsetAtPosition(queue, position) ?? next;
        next = index.firstOffset(queue) ?? next;
      }
      const links = this.linksUntil(queue, (oldest) => oldest.base <= position);
      if (links === undefined) return next;
      if (isNeeded(links)) return links;
      for (let i = links.length - 1; i >= 0; i--) {
        const link = links[i]!;
        if (link.base > position) next = link.firstOffset;
        else return this.offsetInLink(link, position, next, search);
      }
      return next;
    });
  }

  /** Goes on where an attempt before had to stop, so that it never needs two blocks at once. */
  private offsetInLink(link: Link, position: number, next: number, search: Search): number | Needed {
    if (search.base !== link.base) {
      search.base = link.base;
      search.low = link.firstOffset;
      search.high = link.firstOffset + link.count;
    }
    while (search.low < search.high) {
      const middle = Math.floor((search.low + search.high) / 2);
      const entry = this.linkEntries(link, middle, 1);
      if (!Array.isArray(entry)) return entry;
      if (entry[0]!.position < position) search.low = middle + 1;
      else search.high = middle;
    }
    return search.low === link.firstOffset + link.count ? next : search.low;
  }

  /** Repeats an attempt, loading what it lacks in between, until it has an answer. */
  private untilLoaded<T extends object | number>(attempt: () => T | Needed): T | Promise<T> {
    const outcome = attempt();
    return isNeeded(outcome) ? this.loadAndRepeat(attempt, outcome) : outcome;
  }

  private async loadAndRepeat<T extends object | number>(attempt: () => T | Needed, first: Needed): Promise<T> {
    let needed = first;
    for (;;) {
      try {
        await needed.load();
      } catch (error) {
        // Retention may have removed the segment meanwhile; the next attempt no longer asks for it.
        if (needed.base >= this.catalogue.startPosition) throw error;
      }
      const outcome = attempt();
      if (!isNeeded(outcome)) return outcome;
      needed = outcome;
    }
  }
}

function isNeeded(outcome: unknown): outcome is Needed {
  return typeof outcome === 'object' && outcome !== null && 'load' in outcome;
}
