// Which consumer of an exclusive group each queue shall belong to: every queue to one of them, no consumer to more than
// one queue above another, and of the queues that belong to somebody already as few as possible to somebody else.

/**
 * By queue. Nobody is named for any queue if there are no consumers. Who of several equals comes first is decided by
 * the order of `members`.
 */
export function shareOut(
  queues: number,
  members: readonly string[],
  owners: ReadonlyMap<number, string>,
): readonly (string | undefined)[] {
  const plan: (string | undefined)[] = new Array(queues).fill(undefined);
  if (members.length === 0) return plan;
  const held = new Map<string, number>(members.map((clientId) => [clientId, 0]));
  for (let queueId = 0; queueId < queues; queueId++) {
    const owner = owners.get(queueId);
    const count = owner === undefined ? undefined : held.get(owner);
    if (count !== undefined) held.set(owner!, count + 1);
  }
  const least = Math.floor(queues / members.length);
  // Those who have most keep one more, if it does not come out even.
  const byHeld = [...members].sort((a, b) => held.get(b)! - held.get(a)!);
  const left = new Map(byHeld.map((clientId, i) => [clientId, least + (i < queues % members.length ? 1 : 0)]));
  for (let queueId = 0; queueId < queues; queueId++) {
    const owner = owners.get(queueId);
    const room = owner === undefined ? 0 : (left.get(owner) ?? 0);
    if (room === 0) continue;
    plan[queueId] = owner;
    left.set(owner!, room - 1);
  }
  let next = 0;
  for (let queueId = 0; queueId < queues; queueId++) {
    if (plan[queueId] !== undefined) continue;
    while (left.get(members[next]!) === 0) next++;
    plan[queueId] = members[next];
    left.set(members[next]!, left.get(members[next]!)! - 1);
  }
  return plan;
}
