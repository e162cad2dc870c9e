// Bounds that are smaller in simulated clusters than in real ones, because a process of its own reserves their memory
// once, and a simulated one at each start of each replica.
import { LIMITS } from '@fulmar/core/limits.ts';

/** More than a story sends within a minute. */
const RECENT_MESSAGE_IDS = 4_096;

export function lowerLimits(): void {
  Reflect.set(LIMITS, 'recentMessageIds', RECENT_MESSAGE_IDS);
}
