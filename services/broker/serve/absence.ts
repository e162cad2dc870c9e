// Answers that something is not there, which is final for whoever asks. A master that was deposed and does not know it
// yet has nothing of what the next one took, so it must not say so: it proves first that it leads.
import type { Fault } from '@fulmar/core/errors.ts';
import { type Committer, refusalOf } from '../committer.ts';
import { NOT_MASTER } from '../master-questions.ts';

/** `absent` if this replica led its set when it was asked, and otherwise a fault after which another one is asked. */
export async function provenAbsent(committer: Committer, absent: Fault): Promise<Fault> {
  const refused = refusalOf(committer);
  if (refused !== undefined) return refused;
  return (await committer.hasLed()) ? absent : NOT_MASTER;
}
