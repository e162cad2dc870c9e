// Faults as the in-band Status that official clients judge by. Codes that a client's library does not know, or that
// belong to the inside of the cluster, are replaced here and nowhere else.
import { codeOf, type Fault, MULTIPLE_RESULTS, OK } from '@fulmar/core/errors.ts';
import type { Status } from './messages.ts';

export const STATUS_OK: Status = { code: OK, message: 'OK' };

/** The published Rust crate panics on numbers that it does not know; these are their older, wider relatives. */
const RUST_REPLACEMENTS = new Map([
  [40019, 40000],
  [40020, 40000],
  [40021, 40000],
  [40404, 40400],
  [41302, 41300],
  [42901, 42900],
  [42902, 42900],
]);

const NOT_MASTER = 50003;
const HA_NOT_AVAILABLE = 50002;

export function publicCode(code: number, language: string): number {
  if (code === NOT_MASTER) return HA_NOT_AVAILABLE;
  return language === 'RUST' ? (RUST_REPLACEMENTS.get(code) ?? code) : code;
}

export function statusOf(of: Fault, language: string): Status {
  return { code: publicCode(codeOf(of), language), message: of.message };
}

/** The one status above several entries: theirs if all agree, else MULTIPLE_RESULTS. `entries` is not empty. */
export function overallStatus(entries: readonly { readonly status: Status }[]): Status {
  const first = entries[0]!.status;
  for (const { status } of entries) {
    if (status.code !== first.code) {
      return { code: MULTIPLE_RESULTS, message: 'The entries have different results; look at each of them.' };
    }
  }
  return first;
}
