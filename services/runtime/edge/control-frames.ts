// The frames that are no part of a request: windows, resets, settings, pings, goodbyes, priorities, and whatever else
// may come (RFC 9113 section 6). Every method answers whether the connection still stands.
import type { Connection } from './connection.ts';
import { CODE, FLAG, FRAME, LARGEST_WINDOW_BYTES, readUint31 } from './http2.ts';
import type { Ledger } from './ledger.ts';
import { PeerSettings } from './peer-settings.ts';

/** Windows opened by less than this are no news, but might make us answer in crumbs. */
const CRUMB_BYTES = 128;
/** So many settings in one frame cost as much as a frame. */
const SETTINGS_BYTES_PER_FRAME = 64;

export class ControlFrames {
  readonly peer = new PeerSettings();
  readonly #connection: Connection;
  readonly #ledger: Ledger;

  constructor(connection: Connection, ledger: Ledger) {
    this.#connection = connection;
    this.#ledger = ledger;
  }

  frame(type: number, bytes: Buffer, from: number, length: number, flags: number, id: number): boolean {
    switch (type) {
      case FRAME.WINDOW_UPDATE:
        return this.#windowUpdate(bytes, from, length, id);
      case FRAME.RST_STREAM:
        return this.#rstStream(length, id);
      case FRAME.PING:
        return this.#ping(bytes, from, length, flags, id);
      case FRAME.SETTINGS:
        return this.#settings(bytes, from, from + length, flags, id);
      case FRAME.PRIORITY:
        if (id === 0) return this.#fail(CODE.PROTOCOL_ERROR, 'priority');
        if (length !== 5) return this.#fail(CODE.FRAME_SIZE_ERROR, 'priority');
        // RFC 7540 section 5.3.1, though priorities mean nothing here.
        if (readUint31(bytes, from) === id) return this.#connection.streamError(id, CODE.PROTOCOL_ERROR);
        return this.#connection.useless();
      case FRAME.GOAWAY:
        if (id !== 0) return this.#fail(CODE.PROTOCOL_ERROR, 'goaway');
        if (length < 8) return this.#fail(CODE.FRAME_SIZE_ERROR, 'goaway');
        this.#connection.refuseStreams();
        return this.#connection.useless();
      case FRAME.PUSH_PROMISE:
        return this.#fail(CODE.PROTOCOL_ERROR, 'push-promise');
      default:
        // Unknown types are to be ignored: RFC 9113 section 5.5.
        return this.#connection.useless();
    }
  }

  #fail(code: number, reason: string): false {
    return this.#connection.fail(code, reason);
  }

  /** RFC 9113 section 6.9. */
  #windowUpdate(bytes: Buffer, from: number, length: number, id: number): boolean {
    const connection = this.#connection;
    if (length !== 4) return this.#fail(CODE.FRAME_SIZE_ERROR, 'window-update');
    const increment = readUint31(bytes, from);
    if (increment < CRUMB_BYTES && !connection.useless()) return false;
    if (id === 0) {
      if (increment === 0) return this.#fail(CODE.PROTOCOL_ERROR, 'window-update');
      connection.outbound.windowBytes += increment;
      if (connection.outbound.windowBytes > LARGEST_WINDOW_BYTES) {
        return this.#fail(CODE.FLOW_CONTROL_ERROR, 'window-update');
      }
      connection.outbound.connectionOpened();
      return true;
    }
    const stream = connection.streams.get(id);
    if (stream === undefined) {
      if (connection.isIdle(id)) return this.#fail(CODE.PROTOCOL_ERROR, 'idle-stream');
      return connection.useless();
    }
    if (increment === 0) return connection.streamError(id, CODE.PROTOCOL_ERROR);
    stream.sendWindowBytes += increment;
    if (stream.sendWindowBytes > LARGEST_WINDOW_BYTES) return connection.streamError(id, CODE.FLOW_CONTROL_ERROR);
    connection.outbound.opened(stream);
    return true;
  }

  /** RFC 9113 section 6.4. */
  #rstStream(length: number, id: number): boolean {
    if (length !== 4) return this.#fail(CODE.FRAME_SIZE_ERROR, 'rst-stream');
    if (id === 0 || this.#connection.isIdle(id)) return this.#fail(CODE.PROTOCOL_ERROR, 'idle-stream');
    return this.#connection.resetByPeer(id);
  }

  /** RFC 9113 section 6.7. */
  #ping(bytes: Buffer, from: number, length: number, flags: number, id: number): boolean {
    const connection = this.#connection;
    if (id !== 0) return this.#fail(CODE.PROTOCOL_ERROR, 'ping');
    if (length !== 8) return this.#fail(CODE.FRAME_SIZE_ERROR, 'ping');
    if ((flags & FLAG.ACK) !== 0) {
      connection.pingAnswered(bytes.subarray(from, from + length));
    } else {
      connection.life.usedMs = this.#ledger.nowMs;
      connection.outbound.control.ping(true, bytes, from);
    }
    return connection.useless();
  }

  /** RFC 9113 section 6.5. */
  #settings(bytes: Buffer, from: number, end: number, flags: number, id: number): boolean {
    const connection = this.#connection;
    if (id !== 0) return this.#fail(CODE.PROTOCOL_ERROR, 'settings');
    if ((flags & FLAG.ACK) !== 0) {
      if (end > from) return this.#fail(CODE.FRAME_SIZE_ERROR, 'settings');
      return connection.life.greeted ? connection.useless() : this.#fail(CODE.PROTOCOL_ERROR, 'no-settings');
    }
    const before = this.peer.initialWindowBytes;
    const code = this.peer.read(bytes, from, end);
    if (code !== CODE.NO_ERROR) return this.#fail(code, 'settings');
    connection.life.greeted = true;
    connection.outbound.blocks.tableSize(this.peer.headerTableBytes);
    const change = this.peer.initialWindowBytes - before;
    if (change !== 0) {
      // RFC 9113 section 6.9.2: streams that are there are given or lose the difference.
      for (const stream of connection.streams.values()) {
        stream.sendWindowBytes += change;
        if (stream.sendWindowBytes > LARGEST_WINDOW_BYTES) return this.#fail(CODE.FLOW_CONTROL_ERROR, 'settings');
        connection.outbound.opened(stream);
      }
    }
    connection.outbound.control.settingsAck();
    return connection.useless(1 + Math.floor((end - from) / SETTINGS_BYTES_PER_FRAME));
  }
}
