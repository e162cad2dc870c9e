// Judges bytes by the rules of the wire format and by what the protos say, field by field and slowly: whether they are
// a message of a type at all, and whether they are an ordinary one, of which every decoder has to read the same. It
// shares no code with the codecs that it judges.
import { isUtf8 } from 'node:buffer';
import { type Field, submessageOf, type Type } from './schema.ts';

export interface Verdict {
  /** What is wrong; undefined for well-formed bytes. */
  readonly malformed: string | undefined;
  /**
   * No field with another wire type than the proto says, no second submessage where there may be one, no groups, and no
   * number of 32 bits in six to nine bytes, of which protobufjs always skips ten.
   */
  readonly ordinary: boolean;
}

export interface Rules {
  /** Submessages and lists that the codec passes over without looking into them, as `Type.field`. */
  readonly opaque: ReadonlySet<string>;
  /** Texts that the codec reads have to be UTF-8; others it passes over. */
  readonly texts: (typeAndField: string) => boolean;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
const GROUPS_MAX = 32;

class Malformed extends Error {}

export function judge(type: Type, bytes: Buffer, rules: Rules): Verdict {
  const walk = new Walk(bytes, rules);
  try {
    walk.message(type, 0, bytes.length);
    return { malformed: undefined, ordinary: walk.ordinary };
  } catch (thrown) {
    if (thrown instanceof Malformed) return { malformed: thrown.message, ordinary: walk.ordinary };
    throw thrown;
  }
}

class Walk {
  ordinary = true;
  private readonly bytes: Buffer;
  private readonly rules: Rules;
  private at = 0;

  constructor(bytes: Buffer, rules: Rules) {
    this.bytes = bytes;
    this.rules = rules;
  }

  message(type: Type, from: number, to: number): void {
    this.at = from;
    const seen = new Set<Field>();
    while (this.at < to) {
      const tag = this.varint(to);
      const number = Number(BigInt.asUintN(32, tag)) >>> 3;
      const wire = Number(tag & 7n);
      if (BigInt.asUintN(32, tag) !== tag) this.ordinary = false;
      if (number === 0) throw new Malformed('field 0');
      const field = type.fieldsById[number];
      if (field === undefined || !this.isExpected(field, wire)) {
        if (field !== undefined) this.ordinary = false;
        this.skip(number, wire, to, 0);
        continue;
      }
      const isSingle = !field.repeated && !field.map;
      if (isSingle && seen.has(field) && submessageOf(field) !== undefined) this.ordinary = false;
      if (field.partOf !== null && field.partOf.fieldsArray.length > 1) {
        if (field.partOf.fieldsArray.some((other) => seen.has(other))) this.ordinary = false;
      }
      seen.add(field);
      this.known(type, field, wire, to);
    }
  }

  private isExpected(field: Field, wire: number): boolean {
    if (wire === wireOf(field)) return true;
    // A list of numbers may be packed or not.
    return field.repeated && wireOf(field) === VARINT && wire === BYTES;
  }

  private known(type: Type, field: Field, wire: number, end: number): void {
    const name = `${type.name}.${field.name}`;
    const submessage = submessageOf(field);
    if (wire === VARINT) {
      const value = this.varint(end, field.type.endsWith('int64'));
      if (field.type === 'bool' && value > 0xffff_ffffn) this.ordinary = false;
      return;
    }
    const from = this.length(end);
    const to = this.at;
    if (this.rules.opaque.has(name)) return;
    if (field.map) this.entry(field, name, from, to);
    else if (submessage !== undefined) this.message(submessage, from, to);
    else if (field.type === 'string') this.text(name, from, to);
    else if (field.type !== 'bytes') {
      this.at = from;
      while (this.at < to) this.varint(to, field.type.endsWith('int64'));
    }
    this.at = to;
  }

  private entry(field: Field, name: string, from: number, to: number): void {
    this.at = from;
    while (this.at < to) {
      const tag = this.varint(to);
      const number = Number(BigInt.asUintN(32, tag)) >>> 3;
      const wire = Number(tag & 7n);
      if (number === 0) throw new Malformed('field 0');
      if ((number === 1 || number === 2) && wire === BYTES) {
        const start = this.length(to);
        if (number === 1 || field.type === 'string') this.text(name, start, this.at);
      } else {
        if (number < 3) this.ordinary = false;
        this.skip(number, wire, to, 0);
      }
    }
  }

  private text(name: string, from: number, to: number): void {
    if (isUtf8(this.bytes.subarray(from, to))) return;
    if (this.rules.texts(name)) throw new Malformed('not UTF-8');
    this.ordinary = false;
  }

  /** Behind the content of a field of this length; returns where it begins. */
  private length(end: number): number {
    const tag = this.varint(end);
    const length = Number(BigInt.asUintN(32, tag));
    if (BigInt(length) !== tag) this.ordinary = false;
    const from = this.at;
    if (length > end - from) throw new Malformed('length');
    this.at = from + length;
    return from;
  }

  private skip(number: number, wire: number, end: number, depth: number): void {
    if (wire === VARINT) this.varint(end);
    else if (wire === FIXED64) this.advance(8, end);
    else if (wire === FIXED32) this.advance(4, end);
    else if (wire === BYTES) this.length(end);
    else if (wire === GROUP) {
      this.ordinary = false;
      if (depth >= GROUPS_MAX) throw new Malformed('too many groups');
      for (;;) {
        const tag = this.varint(end);
        const inner = Number(BigInt.asUintN(32, tag)) >>> 3;
        if (inner === 0) throw new Malformed('field 0');
        if (Number(tag & 7n) === END_GROUP) {
          if (inner !== number) throw new Malformed('group');
          return;
        }
        this.skip(inner, Number(tag & 7n), end, depth + 1);
      }
    } else throw new Malformed('wire type');
  }

  private advance(count: number, end: number): void {
    if (count > end - this.at) throw new Malformed('length');
    this.at += count;
  }

  private varint(end: number, isLong = false): bigint {
    let value = 0n;
    for (let i = 0n; i < 10n; i++) {
      if (this.at >= end) throw new Malformed('number');
      const byte = this.bytes[this.at++]!;
      value |= BigInt(byte & 0x7f) << (7n * i);
      if (byte < 0x80) {
        if (!isLong && i > 4n && i < 9n) this.ordinary = false;
        return BigInt.asUintN(64, value);
      }
    }
    throw new Malformed('number');
  }
}

/** Hot messages have no fields of a fixed width. */
function wireOf(field: Field): number {
  const isBytes = field.map || submessageOf(field) !== undefined || field.type === 'string' || field.type === 'bytes';
  return isBytes ? BYTES : VARINT;
}
