// Follows the gRPC frames in the bytes of one stream without keeping any: how much of a message has come that is not
// yet whole, and how many messages were. Five bytes of header (a flag, a big-endian length) precede each message.

const HEADER_BYTES = 5;

export class FrameMeter {
  /** Bytes, header included, of a message that has begun and not ended. */
  partialBytes = 0;
  messages = 0;
  private headerBytes = 0;
  private remaining = 0;

  read(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.headerBytes < HEADER_BYTES) {
        const byte = chunk[at++]!;
        if (this.headerBytes > 0) this.remaining = this.remaining * 0x100 + byte;
        this.headerBytes++;
        this.partialBytes++;
        if (this.headerBytes < HEADER_BYTES) continue;
      } else {
        const taken = Math.min(this.remaining, chunk.length - at);
        this.remaining -= taken;
        this.partialBytes += taken;
        at += taken;
      }
      if (this.remaining === 0) {
        this.messages++;
        this.headerBytes = 0;
        this.partialBytes = 0;
      }
    }
  }
}
