// How every replica of a set stands, as the one that is asked can tell: what `fulmar broker list` shows.
import type { ReplicaStatus } from '@fulmar/core/broker-api.ts';
import type { SetRecord } from '@fulmar/core/coordination.ts';
import type { ReplicaStanding } from './replication/replica-options.ts';

/** `me` is the replica that is asked. */
export function replicaStatus(
  me: string,
  standing: ReplicaStanding | undefined,
  record: SetRecord | undefined,
  endPosition: number,
): readonly ReplicaStatus[] {
  if (standing === undefined) return [];
  const names = new Set([me, ...standing.members.map(({ replica }) => replica)]);
  return [...names].sort().map((name) => {
    const isMe = name === me;
    const follower = standing.followers.find(({ replica }) => replica === name);
    const member = standing.members.find(({ replica }) => replica === name);
    const leads = isMe ? standing.role === 'leader' : record !== undefined && record.leader === member?.storeUid;
    return {
      name,
      role: leads ? 'master' : 'slave',
      lagBytes: isMe ? 0 : (follower?.lagBytes ?? endPosition),
      inSync: standing.inSync.includes(name),
    };
  });
}
