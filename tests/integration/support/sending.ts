// Producers that keep a number of sends under way, whatever happens to the server. A message whose answer was lost is
// sent again with the same id, at once or to the server that comes after, until somebody says OK.
import type { SeededRandom } from '../../simulation/random.ts';
import type { Ledger } from './ledger.ts';
import { type MessageToSend, type MessagingClient, OK, RefusedError, TOO_MANY_REQUESTS } from './messaging.ts';
import { pause } from './waiting.ts';

const PAUSE_WHEN_REFUSED_MS = 20;

export class Producers {
  readonly topic: string;
  private readonly ledger: Ledger;
  private readonly random: SeededRandom;
  private readonly inFlight: number;
  /** Sent, and not yet answered by any server. */
  private readonly unanswered = new Map<string, MessageToSend>();

  constructor(topic: string, ledger: Ledger, random: SeededRandom, inFlight: number) {
    this.topic = topic;
    this.ledger = ledger;
    this.random = random;
    this.inFlight = inFlight;
  }

  /** Sends until `stopped` says so, or until the server is gone; then nothing is under way any more. */
  async sendUntil(client: MessagingClient, stopped: () => boolean): Promise<void> {
    const repeated = [...this.unanswered.values()];
    const senders = Array.from({ length: this.inFlight }, async () => {
      while (!stopped()) {
        const message = repeated.pop() ?? this.newMessage();
        if (!(await this.send(client, message, stopped))) return;
      }
    });
    await Promise.all(senders);
  }

  /** Repeats what has not been answered, and nothing else. */
  async finish(client: MessagingClient): Promise<void> {
    const repeated = [...this.unanswered.values()];
    const senders = Array.from({ length: this.inFlight }, async () => {
      for (let message = repeated.pop(); message !== undefined; message = repeated.pop()) {
        if (!(await this.send(client, message, () => false))) throw new Error('the server is gone');
      }
    });
    await Promise.all(senders);
  }

  /** Mostly small, some large enough to fill segments. */
  private newMessage(): MessageToSend {
    const { random } = this;
    return this.ledger.newMessage(random.chance(0.15) ? random.between(10_000, 150_000) : random.between(1, 2_000));
  }

  /** False if the connection broke. */
  private async send(client: MessagingClient, message: MessageToSend, stopped: () => boolean): Promise<boolean> {
    this.unanswered.set(message.messageId, message);
    for (;;) {
      let code: number;
      try {
        code = (await client.send(this.topic, [message]))[0]!.code;
      } catch (error) {
        if (error instanceof RefusedError) throw error;
        return false;
      }
      if (code === OK) {
        this.unanswered.delete(message.messageId);
        this.ledger.acknowledged(message.messageId);
        return true;
      }
      if (code !== TOO_MANY_REQUESTS) throw new RefusedError({ code, message: `for ${message.messageId}` });
      if (stopped()) return true;
      await pause(PAUSE_WHEN_REFUSED_MS);
    }
  }
}
