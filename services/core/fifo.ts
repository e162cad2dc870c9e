// A queue, first in, first out. What has left it is let go at once: if it stayed until the queue is moved up, it would
// outlive V8's young generation together with all that it points to; removing it then costs far more than making it.

/** Empty places at the front that are left alone. */
const EMPTY_MIN = 64;

export class Fifo<T> {
  #places: (T | undefined)[] = [];
  #front = 0;

  get size(): number {
    return this.#places.length - this.#front;
  }

  push(item: T): void {
    this.#places.push(item);
  }

  /** The one that leaves next. */
  first(): T | undefined {
    return this.#places[this.#front];
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#places[this.#front];
    this.#places[this.#front++] = undefined;
    if (this.#front === this.#places.length) {
      this.#places.length = 0;
      this.#front = 0;
    } else if (this.#front >= EMPTY_MIN && this.#front * 2 >= this.#places.length) {
      this.#places.splice(0, this.#front);
      this.#front = 0;
    }
    return item;
  }

  /** All of them leave, in their order. */
  takeAll(): T[] {
    const all: T[] = [];
    while (this.size > 0) all.push(this.shift()!);
    return all;
  }
}
