// The bytes of one simulated file: what a program sees, and for each sector changed since the last sync what the disk
// really has. A crash decides for each such sector on its own whether the old content, the new one or a mixture is
// found afterwards.
import type { SeededRandom } from './random.ts';

export const SECTOR_BYTES = 512;

/** How a crash treats what was not synced. */
type CrashMode = 'lost' | 'kept' | 'mixed';

export class Sectors {
  sizeBytes = 0;
  private data = Buffer.alloc(0);
  private durableSizeBytes = 0;
  /** Durable content of the sectors that differ, or may differ, from what a program sees. */
  private readonly changed = new Map<number, Buffer>();
  /** The same for sectors whose change a failed write or sync has dropped. */
  private readonly lost = new Map<number, Buffer>();
  /** How often something was dropped. */
  losses = 0;

  read(target: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.sizeBytes - position));
    if (length > 0) this.data.copy(target, 0, position, position + length);
    return length;
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    this.reserve(end);
    this.remember(position, end);
    this.data.set(bytes, position);
    this.sizeBytes = Math.max(this.sizeBytes, end);
  }

  truncate(length: number): void {
    this.reserve(length);
    if (length < this.sizeBytes) {
      this.remember(length, this.sizeBytes);
      this.data.fill(0, length, this.sizeBytes);
    }
    this.sizeBytes = length;
  }

  private reserve(end: number): void {
    if (end <= this.data.length) return;
    const sectors = Math.ceil(Math.max(end, this.data.length * 2) / SECTOR_BYTES);
    const larger = Buffer.alloc(sectors * SECTOR_BYTES);
    this.data.copy(larger);
    this.data = larger;
  }

  private remember(from: number, to: number): void {
    for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++) {
      if (this.changed.has(sector)) continue;
      const at = sector * SECTOR_BYTES;
      this.changed.set(sector, this.lost.get(sector) ?? Buffer.from(this.data.subarray(at, at + SECTOR_BYTES)));
      this.lost.delete(sector);
    }
  }

  /** The range is durable now, and the file is at least long enough for it. */
  makeDurable(from: number, to: number): void {
    for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++)
      this.changed.delete(sector);
    this.durableSizeBytes = Math.max(this.durableSizeBytes, Math.min(to, this.sizeBytes));
  }

  makeAllDurable(): void {
    this.changed.clear();
    this.durableSizeBytes = this.sizeBytes;
  }

  /**
   * A sync failed, or a write that was to be durable: programs go on seeing the new content, nobody will ever write it,
   * and the next sync succeeds.
   */
  loseChanges(from = 0, to = this.data.length): void {
    this.losses++;
    for (const [sector, content] of this.changed) {
      if (sector < Math.floor(from / SECTOR_BYTES) || sector * SECTOR_BYTES >= to) continue;
      if (!this.lost.has(sector)) this.lost.set(sector, content);
      this.changed.delete(sector);
    }
  }

  /** What is found after the machine went down. */
  crash(random: SeededRandom): void {
    const mode = random.pick<CrashMode>(['lost', 'kept', 'mixed', 'mixed']);
    for (const [sector, content] of this.changed) this.settleSector(sector, content, mode, random);
    for (const [sector, content] of this.lost) content.copy(this.data, sector * SECTOR_BYTES);
    if (mode === 'lost' || (mode === 'mixed' && random.chance(0.5))) this.sizeBytes = this.durableSizeBytes;
    this.data.fill(0, this.sizeBytes);
    this.lost.clear();
    this.makeAllDurable();
  }

  private settleSector(sector: number, durable: Buffer, mode: CrashMode, random: SeededRandom): void {
    const fate = mode === 'mixed' ? random.pick(['lost', 'kept', 'torn'] as const) : mode;
    if (fate === 'kept') return;
    const at = sector * SECTOR_BYTES;
    // Torn: the first part is new, the rest old.
    const from = fate === 'torn' ? random.below(SECTOR_BYTES) : 0;
    durable.copy(this.data, at + from, from);
  }

  /** One bit changes on the medium itself. */
  flipBit(position: number, bit: number): void {
    this.data[position]! ^= 1 << bit;
    const sector = this.changed.get(Math.floor(position / SECTOR_BYTES));
    if (sector !== undefined) sector[position % SECTOR_BYTES]! ^= 1 << bit;
  }
}
