// Which worker gets the next connection: the one that has fewest, because connections of clients live for long and a
// worker that was started again has none. A connection that no worker has taken yet is never lost: it waits for the
// first worker, and goes to another one when its own dies before it has taken it.

interface Desk<Connection> {
  /** Handed to the worker, and whether it has taken them or not, not closed. */
  open: number;
  readonly untaken: Map<number, Connection>;
  /** Number of the last connection that it was given; ties go to who has waited longest. */
  lastGiven: number;
}

export interface SpreadParts<Worker, Connection> {
  give(worker: Worker, id: number, connection: Connection): void;
  /** The worker has it, or nobody can take it: this process lets it go. */
  release(connection: Connection): void;
  /** Connections that may wait while there is no worker. */
  readonly waitingMax: number;
}

export class Spread<Worker, Connection> {
  readonly #parts: SpreadParts<Worker, Connection>;
  readonly #desks = new Map<Worker, Desk<Connection>>();
  readonly #waiting: Connection[] = [];
  #ids = 0;

  constructor(parts: SpreadParts<Worker, Connection>) {
    this.#parts = parts;
  }

  /** Connections that each worker has. */
  open(worker: Worker): number {
    return this.#desks.get(worker)?.open ?? 0;
  }

  add(worker: Worker): void {
    this.#desks.set(worker, { open: 0, untaken: new Map(), lastGiven: 0 });
    for (const connection of this.#waiting.splice(0)) this.take(connection);
  }

  /** The worker is gone, and with it every connection that it had taken. */
  remove(worker: Worker): void {
    const desk = this.#desks.get(worker);
    this.#desks.delete(worker);
    for (const connection of desk?.untaken.values() ?? []) this.take(connection);
  }

  take(connection: Connection): void {
    const worker = this.#leastBusy();
    if (worker !== undefined) this.#give(worker, connection);
    else if (this.#waiting.length < this.#parts.waitingMax) this.#waiting.push(connection);
    else this.#parts.release(connection);
  }

  taken(worker: Worker, id: number): void {
    const desk = this.#desks.get(worker);
    const connection = desk?.untaken.get(id);
    if (connection === undefined) return;
    desk!.untaken.delete(id);
    this.#parts.release(connection);
  }

  closed(worker: Worker): void {
    const desk = this.#desks.get(worker);
    if (desk !== undefined) desk.open--;
  }

  /** Nobody waits any more. */
  stop(): void {
    for (const connection of this.#waiting.splice(0)) this.#parts.release(connection);
  }

  #leastBusy(): Worker | undefined {
    let best: { worker: Worker; desk: Desk<Connection> } | undefined;
    for (const [worker, desk] of this.#desks) {
      const isBetter =
        best === undefined ||
        desk.open < best.desk.open ||
        (desk.open === best.desk.open && desk.lastGiven < best.desk.lastGiven);
      if (isBetter) best = { worker, desk };
    }
    return best?.worker;
  }

  #give(worker: Worker, connection: Connection): void {
    const desk = this.#desks.get(worker)!;
    const id = ++this.#ids;
    desk.open++;
    desk.untaken.set(id, connection);
    desk.lastGiven = id;
    this.#parts.give(worker, id, connection);
  }
}
