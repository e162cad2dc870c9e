// The buffers from which answers are written to sockets. Nearly always the network takes a write at once and the same
// buffer serves the next one, for all connections of a server; one that is not taken at once belongs to its socket
// until it is, and is used again afterwards.

export const WRITE_BUFFER_BYTES = 64 * 1024;
const SPARE = 16;

export class WriteBuffers {
  #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(WRITE_BUFFER_BYTES);
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE) this.#spare.push(buffer);
  }
}
