// What a process says of itself to whoever looks after it: how far its start is, and whether it should get requests.
// A start that is over stays over. That the process is alive needs no words: it answers.
export class Probes {
  #starting: string | undefined;
  #unready: () => string | undefined = () => undefined;

  /** `starting` says in one sentence what the process does first. */
  constructor(starting: string) {
    this.#starting = starting;
  }

  /** How far the start is, in one sentence. */
  progress(sentence: string): void {
    if (this.#starting !== undefined) this.#starting = sentence;
  }

  /** The start is over: what had to be recovered is. */
  started(): void {
    this.#starting = undefined;
  }

  /** From now on this is asked whether requests should come, and says in one sentence why not. */
  askWhetherReady(unready: () => string | undefined): void {
    this.#unready = unready;
  }

  starting(): string | undefined {
    return this.#starting;
  }

  unready(): string | undefined {
    return this.#starting ?? this.#unready();
  }
}
