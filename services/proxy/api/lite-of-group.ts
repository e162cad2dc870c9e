// What a group of lite consumers has to do with lite topics, asked of every broker set and put together: which LITE
// topic it is bound to, how far it has come in each lite topic, and who of it reads one.
import { type Fault, FaultError, type Outcome } from '@fulmar/core/errors.ts';
import { LIMITS } from '@fulmar/core/limits.ts';
import type { LiteLag } from '@fulmar/core/lite-api.ts';
import { type Asking, askEverySet, refuse, type SetAnswer } from './admin-context.ts';

/** The LITE topic; a group that is bound to none is refused. */
export async function boundTopicOf(dependencies: Asking, group: string): Promise<string> {
  const found = known(await askEverySet(dependencies, (broker) => broker.ensureGroup(group, false)));
  const bound = found.find(({ lite }) => lite !== undefined)?.lite?.topic;
  return bound ?? refuse('ILLEGAL_CONSUMER_GROUP', `Group ${group} reads no lite topics. Leave the lite topic out.`);
}

/** Of one lite topic that the group has read; with an empty name of those in which it has something before it. */
export async function liteLagsOf(dependencies: Asking, group: string, liteTopic: string): Promise<readonly LiteLag[]> {
  const answers = await askEverySet(dependencies, (broker) => broker.lite.lags({ group, liteTopic }));
  const sums = new Map<string, LiteLag>();
  for (const { name, readyMessages, inFlightMessages, lagMs } of known(answers).flat()) {
    const before = sums.get(name);
    sums.set(name, {
      name,
      readyMessages: readyMessages + (before?.readyMessages ?? 0),
      inFlightMessages: inFlightMessages + (before?.inFlightMessages ?? 0),
      lagMs: Math.max(lagMs, before?.lagMs ?? 0),
    });
  }
  const sorted = [...sums.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.slice(0, LIMITS.listedLiteTopics);
}

/** Client ids of the consumers of the group that read the lite topic. */
export async function liteReadersOf(
  dependencies: Asking,
  group: string,
  liteTopic: string,
): Promise<ReadonlySet<string>> {
  const answers = await askEverySet(dependencies, (broker) => broker.lite.readers({ group, liteTopic }));
  return new Set(known(answers).flat());
}

/** What the sets say that know the group; if none does, that. */
function known<T>(answers: readonly SetAnswer<Outcome<T>>[]): readonly T[] {
  const values: T[] = [];
  let unknown: Fault | undefined;
  for (const { answer } of answers) {
    if (answer.fault === undefined) values.push(answer.value);
    else if (answer.fault.error === 'CONSUMER_GROUP_NOT_FOUND') unknown = answer.fault;
    else throw new FaultError(answer.fault);
  }
  if (values.length === 0 && unknown !== undefined) throw new FaultError(unknown);
  return values;
}
