// Remembers, for the queues asked about last, in which sealed segments their messages lie. Bounded by the number of
// links; what is forgotten is found again by following the chain through the index files.
import type { Link } from './index-file.ts';
import type { QueueKey } from './log.ts';

export interface Chain {
  /** Ascending and without gaps up to the newest sealed segment that holds the queue. */
  readonly links: Link[];
  /** The segment before the oldest link, not looked at yet; undefined where the queue begins. */
  olderBase: number | undefined;
}

export class QueueChains {
  private readonly linksMax: number;
  private readonly chains = new Map<QueueKey, Chain>();
  private linkCount = 0;

  constructor(linksMax: number) {
    this.linksMax = linksMax;
  }

  /** The remembered chain, or an empty one that begins at the newest segment `head`. */
  of(queue: QueueKey, head: number): Chain {
    let chain = this.chains.get(queue);
    if (chain !== undefined) this.chains.delete(queue);
    else chain = { links: [], olderBase: head };
    this.chains.set(queue, chain);
    for (const [oldest, { links }] of this.chains) {
      if (this.linkCount + this.chains.size <= this.linksMax || oldest === queue) break;
      this.chains.delete(oldest);
      this.linkCount -= links.length;
    }
    return chain;
  }

  prepend(chain: Chain, link: Link): void {
    chain.links.unshift(link);
    chain.olderBase = link.previousBase;
    this.linkCount++;
  }

  /** A segment was sealed; only chains that somebody asked about grow by it. */
  append(queue: QueueKey, link: Link): void {
    const chain = this.chains.get(queue);
    if (chain === undefined) return;
    if (chain.links.length === 0) chain.olderBase = link.previousBase;
    chain.links.push(link);
    this.linkCount++;
  }

  /** Retention removed everything before `position`. */
  cutBefore(chain: Chain, position: number): void {
    const { links } = chain;
    let gone = 0;
    while (gone < links.length && links[gone]!.base < position) gone++;
    if (gone === 0) return;
    links.splice(0, gone);
    chain.olderBase = undefined;
    this.linkCount -= gone;
  }
}
