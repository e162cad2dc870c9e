// From the Resource of a request to the one key of a topic or group inside the cluster. A resource's own namespace wins
// over the one in the header, because some clients send only the one and some only the other.
import { type Fault, type Outcome, success } from '@fulmar/core/errors.ts';
import { checkGroupName, checkNamespace, checkTopicName, resourceKey } from '@fulmar/core/names.ts';
import type { Resource } from './messages.ts';
import type { Requester } from './requester.ts';

const NAMELESS: Resource = { resourceNamespace: '', name: '' };

function keyOf(
  requester: Requester,
  resource: Resource | null | undefined,
  checkName: (name: string) => Fault | undefined,
): Outcome<string> {
  const { resourceNamespace, name } = resource ?? NAMELESS;
  const nameFault = checkName(name);
  if (nameFault !== undefined) return { fault: nameFault };
  const namespace = resourceNamespace === '' ? requester.namespace : resourceNamespace;
  if (namespace === '') return success(name);
  const namespaceFault = checkNamespace(namespace);
  if (namespaceFault !== undefined) return { fault: namespaceFault };
  return success(resourceKey(namespace, name));
}

export function topicKeyOf(requester: Requester, resource: Resource | null | undefined): Outcome<string> {
  return keyOf(requester, resource, checkTopicName);
}

export function groupKeyOf(requester: Requester, resource: Resource | null | undefined): Outcome<string> {
  return keyOf(requester, resource, checkGroupName);
}
