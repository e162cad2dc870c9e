// Over which broker sets the message groups of a topic are spread. Each set keeps it in its own log and tells it with
// the topic, so a set is known to own message groups although none of its replicas is registered: what belongs to it
// waits for it, and never moves to another set, where it would be read beside its older messages.

export interface Placement {
  /** Grows when an operator spreads the topic anew; the highest one counts. */
  readonly version: number;
  /** Names of sets, sorted, each once; never empty. */
  readonly sets: readonly string[];
}

/**
 * What counts of two that were told of one topic. Two of one version come from creations that knew different sets at
 * the same time; they count together.
 */
export function newerPlacement(a: Placement | undefined, b: Placement | undefined): Placement | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.version !== b.version) return a.version > b.version ? a : b;
  return samePlacement(a, b) ? a : placementOf(a.version, [...a.sets, ...b.sets]);
}

export function placementOf(version: number, sets: Iterable<string>): Placement {
  return { version, sets: [...new Set(sets)].sort() };
}

export function samePlacement(a: Placement | undefined, b: Placement | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return a.version === b.version && a.sets.length === b.sets.length && a.sets.every((set, i) => set === b.sets[i]);
}
