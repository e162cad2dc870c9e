// The trace of a simulated broker set: the hash over everything, and the last events in words for whoever has to
// understand a failure.
import { Trace } from './trace.ts';

export class ReplicationTrace extends Trace {
  private readonly clock: () => number;
  private readonly keptEvents: number;
  private readonly kept: string[] = [];

  constructor(clock: () => number, keptEvents: number) {
    super();
    this.keptEvents = keptEvents;
    this.clock = clock;
  }

  override note(event: string): void {
    const line = `${this.clock().toFixed(1)} ${event}`;
    super.note(line);
    this.kept.push(line);
    if (this.kept.length > 2 * this.keptEvents) this.kept.splice(0, this.keptEvents);
  }

  /** A trace for what is too much to be kept in words. */
  hashOnly(): Trace {
    const add = (event: string) => super.note(event);
    return Object.assign(new Trace(), { note: add });
  }

  last(): readonly string[] {
    return this.kept.slice(-this.keptEvents);
  }
}
