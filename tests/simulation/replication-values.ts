// What replicas say, as the simulated network carries it: how much it weighs, a copy as the wire would make it, and the
// port at which a leader meets a follower.
import type { FollowerPort, FollowReply, FollowRequest } from '@fulmar/broker/replication/messages.ts';
import type { ServerEnd } from './replication-call.ts';

/** What a message without records weighs, roughly. */
const SMALL_BYTES = 64;

export function bytesOf(value: FollowRequest | FollowReply): number {
  if (value.kind !== 'data') return SMALL_BYTES;
  return value.frames.reduce((bytes, frame) => bytes + frame.length, SMALL_BYTES);
}

/** All records in one piece, as they come off the wire; whatever happens to the sender's memory later. */
export function copyOf(reply: FollowReply): FollowReply {
  if (reply.kind !== 'data' || reply.frames.length === 0) return reply;
  return { ...reply, frames: [Buffer.concat(reply.frames)] };
}

/** Every event comes, also to a listener that is late. */
export function followerPort(end: ServerEnd<FollowRequest, FollowReply>): FollowerPort {
  const early: FollowRequest[] = [];
  let closed = false;
  end.onMessage = (request) => early.push(request);
  end.onClose = () => {
    closed = true;
  };
  return {
    onRequest: (listener) => {
      end.onMessage = listener;
      for (const request of early.splice(0)) listener(request);
    },
    onClose: (listener) => {
      end.onClose = listener;
      if (closed) listener();
    },
    send: (reply) => end.send(copyOf(reply), bytesOf(reply)),
    waitingBytes: () => end.waitingBytes(),
    onDrain: (listener) => {
      end.onDrain = listener;
    },
    end: () => end.end(),
  };
}
