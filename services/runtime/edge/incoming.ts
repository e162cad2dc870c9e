// Requests of which only a part has come, in the order in which they began. When all requests together take more memory
// than they may, the newest of them ends: so the oldest always comes to its end, and a server from which too much is
// wanted answers some instead of none. (Whoever crossed the bound ended once: ninety uploads of 4 MiB then brought each
// other down for minutes.)

export interface IncomingRequest {
  /** A part of it is there, and more has to come. */
  readonly isComing: boolean;
  readonly stream: { readonly connection: object };
}

/** Few enough to be left lying about. */
const GONE_MIN = 64;

export class Incoming<Request extends IncomingRequest> {
  /** Some of them are gone. */
  #requests: Request[] = [];
  #gone = 0;

  add(request: Request): void {
    this.#requests.push(request);
  }

  /** One of them has come to an end. */
  ended(): void {
    this.#gone++;
    if (this.#gone < GONE_MIN || this.#gone * 2 < this.#requests.length) return;
    this.#requests = this.#requests.filter(({ isComing }) => isComing);
    this.#gone = 0;
  }

  /** Of all connections, or of one. */
  newest(connection: object | undefined): Request | undefined {
    return this.#requests.findLast(
      ({ isComing, stream }) => isComing && (connection === undefined || stream.connection === connection),
    );
  }
}
