// A running hash over everything that happens in a simulated run. Two runs of one seed must end with the same hash; if
// they do not, something in the program depends on more than its ports.
import { crc32 } from 'node:zlib';

export class Trace {
  private value = 0;
  private count = 0;

  note(event: string): void {
    this.value = crc32(event, this.value);
    this.count++;
  }

  get hash(): string {
    return `${this.value.toString(16).padStart(8, '0')}/${this.count}`;
  }
}
