// How the members of a broker set stand, as one replica of it knows them: a part of what its status tells.
import type { ReplicaStatus } from '@fulmar/core/broker-api.ts';
import type { SetRecord } from '@fulmar/core/coordination.ts';
import type { ReplicaStanding } from './replication/replica-options.ts';

/** `replica` is the one that tells, and `endPosition` the end of its log. */
export function replicaStatusOf(
  replica: string,
  standing: ReplicaStanding | undefined,
  record: SetRecord | undefined,
  endPosition: number,
): readonly ReplicaStatus[] {
  if (standing === undefined) return [];
  const names = new Set([replica, ...standing.members.map((member) => member.replica)]);
  return [...names].sort().map((name) => {
    const isMe = name === replica;
    const follower = standing.followers.find((each) => each.replica === name);
    const member = standing.members.find((each) => each.replica === name);
    const leads = isMe ? standing.role === 'leader' : record !== undefined && record.leader === member?.storeUid;
    return {
      name,
      role: leads ? 'master' : 'slave',
      lagBytes: isMe ? 0 : (follower?.lagBytes ?? endPosition),
      inSync: standing.inSync.includes(name),
    };
  });
}
