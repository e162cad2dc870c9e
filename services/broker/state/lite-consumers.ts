// Which lite topics each consumer of a group reads. Names count, whether a lite topic of that name exists or not: it
// comes into being with its first message.
import type { LiteSubscribeRecord } from './records/lite.ts';

export class LiteConsumers {
  private readonly namesByClient = new Map<string, Set<string>>();
  private readonly clientsByName = new Map<string, Set<string>>();
  /** Pairs of a consumer and a lite topic. */
  size = 0;

  clients(): Iterable<string> {
    return this.namesByClient.keys();
  }

  namesOf(clientId: string): ReadonlySet<string> {
    return this.namesByClient.get(clientId) ?? NONE;
  }

  clientsOf(name: string): ReadonlySet<string> {
    return this.clientsByName.get(name) ?? NONE;
  }

  apply({ clientId, added, removed, gone }: LiteSubscribeRecord, exclusive: boolean): void {
    for (const name of gone ? [...this.namesOf(clientId)] : removed) this.remove(clientId, name);
    for (const name of added) {
      // Whoever asked last has it alone.
      if (exclusive) for (const other of [...this.clientsOf(name)]) if (other !== clientId) this.remove(other, name);
      this.add(clientId, name);
    }
  }

  add(clientId: string, name: string): void {
    if (this.namesOf(clientId).has(name)) return;
    put(this.namesByClient, clientId, name);
    put(this.clientsByName, name, clientId);
    this.size++;
  }

  private remove(clientId: string, name: string): void {
    if (!this.namesOf(clientId).has(name)) return;
    take(this.namesByClient, clientId, name);
    take(this.clientsByName, name, clientId);
    this.size--;
  }
}

const NONE: ReadonlySet<string> = new Set();

function put(into: Map<string, Set<string>>, key: string, value: string): void {
  const values = into.get(key);
  if (values === undefined) into.set(key, new Set([value]));
  else values.add(value);
}

function take(from: Map<string, Set<string>>, key: string, value: string): void {
  const values = from.get(key);
  values?.delete(value);
  if (values?.size === 0) from.delete(key);
}
