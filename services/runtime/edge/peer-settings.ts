// What the other side of a connection has asked for in its SETTINGS (RFC 9113 section 6.5), as far as a server that
// pushes nothing has to know it. A frame is read whole before anything of it counts.
import {
  CODE,
  DEFAULT_WINDOW_BYTES,
  FRAME_PAYLOAD_BYTES,
  HEADER_TABLE_BYTES,
  LARGEST_FRAME_PAYLOAD_BYTES,
  LARGEST_WINDOW_BYTES,
  readUint32,
  SETTING,
} from './http2.ts';

const SETTING_BYTES = 6;

export class PeerSettings {
  /** What we may send on a new stream before the peer opens its window further. */
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  /** The smallest that was asked for so far in the frame that was read last, and the last. */
  headerTableBytes = HEADER_TABLE_BYTES;

  /** Returns NO_ERROR, or the code of the connection error. */
  read(bytes: Uint8Array, from: number, end: number): number {
    if ((end - from) % SETTING_BYTES !== 0) return CODE.FRAME_SIZE_ERROR;
    let windowBytes = this.initialWindowBytes;
    let tableBytes = this.headerTableBytes;
    for (let at = from; at < end; at += SETTING_BYTES) {
      const value = readUint32(bytes, at + 2);
      switch ((bytes[at]! << 8) | bytes[at + 1]!) {
        case SETTING.HEADER_TABLE_SIZE:
          tableBytes = Math.min(tableBytes, value);
          break;
        case SETTING.ENABLE_PUSH:
          if (value > 1) return CODE.PROTOCOL_ERROR;
          break;
        case SETTING.INITIAL_WINDOW_SIZE:
          if (value > LARGEST_WINDOW_BYTES) return CODE.FLOW_CONTROL_ERROR;
          windowBytes = value;
          break;
        case SETTING.MAX_FRAME_SIZE:
          if (value < FRAME_PAYLOAD_BYTES || value > LARGEST_FRAME_PAYLOAD_BYTES) return CODE.PROTOCOL_ERROR;
          break;
      }
    }
    this.initialWindowBytes = windowBytes;
    this.headerTableBytes = tableBytes;
    return CODE.NO_ERROR;
  }
}
