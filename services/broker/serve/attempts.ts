// What the latest receives of a group in a topic took, by the id that their client gave them: a client that saw no
// answer asks again with the same id, and then it is known that the messages of the first answer are with nobody.
import type { PopRecord } from '../state/records/consumption.ts';

const ATTEMPTS_MAX = 1_024;

export class Attempts {
  private readonly records = new Map<string, PopRecord>();

  note(attemptId: string, record: PopRecord): void {
    this.records.set(attemptId, record);
    if (this.records.size > ATTEMPTS_MAX) this.records.delete(this.records.keys().next().value!);
  }

  take(attemptId: string): PopRecord | undefined {
    const record = this.records.get(attemptId);
    this.records.delete(attemptId);
    return record;
  }
}
