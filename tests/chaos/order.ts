// Whether one FIFO consumer group got the messages of each message group in the order in which they were sent, and one
// only when those before it were settled. A send that nobody answered may have been stored later: it is not judged.
import type { Verdict } from './checker.ts';
import type { AckEvent, DeliverEvent, SendEvent } from './history.ts';

interface Line {
  /** Sequence numbers whose sends were answered OK, ascending. */
  readonly confirmed: number[];
  readonly isConfirmed: Set<number>;
  readonly settled: Set<number>;
  /** Every confirmed number before this place is settled. */
  at: number;
  highestDelivered: number;
}

type Say = (verdict: Verdict, key: string, text: string, atMs: number) => void;

export class OrderJudge {
  private readonly group: { readonly name: string; readonly showsAcks: boolean };
  private readonly say: Say;
  private readonly lines = new Map<string, Line>();
  private readonly places = new Map<string, { readonly line: Line; readonly sequence: number }>();
  private readonly confirmedAcks = new Set<string>();
  /** Acknowledgements of a message that were sent and not refused: each of them may have counted. */
  private readonly claims = new Map<string, number>();

  constructor(group: { readonly name: string; readonly showsAcks: boolean }, say: Say) {
    this.group = group;
    this.say = say;
  }

  sent({ state, key, group, sequence }: SendEvent): void {
    if (group === undefined || sequence === undefined) return;
    let line = this.lines.get(group);
    if (line === undefined) {
      line = { confirmed: [], isConfirmed: new Set(), settled: new Set(), at: 0, highestDelivered: -1 };
      this.lines.set(group, line);
    }
    this.places.set(key, { line, sequence });
    if (state !== 'ok') return;
    line.confirmed.push(sequence);
    line.isConfirmed.add(sequence);
  }

  delivered({ key, atMs }: DeliverEvent): void {
    const place = this.places.get(key);
    if (place === undefined) return;
    const { line, sequence } = place;
    if (sequence < line.highestDelivered && line.isConfirmed.has(sequence)) {
      this.say('order', key, `came to ${this.group.name} after message ${line.highestDelivered} of its group`, atMs);
    }
    line.highestDelivered = Math.max(line.highestDelivered, sequence);
    while (line.at < line.confirmed.length && line.settled.has(line.confirmed[line.at]!)) line.at++;
    const first = line.confirmed[line.at];
    if (first === undefined || first >= sequence) return;
    const text = `came to ${this.group.name} while message ${first} of its group was not settled`;
    this.say('order', key, text, atMs);
    // Said once for each gap: what follows would repeat it.
    line.settled.add(first);
  }

  /** An acknowledgement without an answer may have counted from the moment in which it was sent. */
  acknowledged({ state, key }: AckEvent): void {
    const place = this.places.get(key);
    if (place === undefined) return;
    if (state === 'invoke') {
      this.claims.set(key, (this.claims.get(key) ?? 0) + 1);
      place.line.settled.add(place.sequence);
    } else if (state === 'fail' && this.group.showsAcks) this.refused(place.line, place.sequence, key);
    else if (state === 'ok') this.confirmedAcks.add(key);
  }

  /** The message is as unsettled as before, unless another acknowledgement of it counted, or may have. */
  private refused(line: Line, sequence: number, key: string): void {
    const claims = (this.claims.get(key) ?? 1) - 1;
    this.claims.set(key, claims);
    if (claims > 0 || this.confirmedAcks.has(key)) return;
    line.settled.delete(sequence);
    const index = line.confirmed.lastIndexOf(sequence);
    if (index >= 0 && index < line.at) line.at = index;
  }
}
