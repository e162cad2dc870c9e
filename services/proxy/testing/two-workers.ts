// Two workers of one proxy in one process, for tests: they ask each other as over the channels of real ones, and every
// call of a client arrives at the other one than the call before, as if each had a connection of its own.
import { deserialize, serialize } from 'node:v8';
import type { MessagingHandlers, MessagingService } from '../api/service.ts';
import type { Answering, Colleagues } from '../clients/colleagues.ts';

/** `other` gives the worker that is asked. What is said passes through its bytes. */
export function colleagueOf(other: () => Pick<MessagingService, 'forColleagues' | 'rates'>): Colleagues {
  return {
    async ask(kind, question) {
      const worker = other();
      const answering: Answering = {
        ...worker.forColleagues,
        load: () => ({ ...worker.rates(), connections: 0 }),
        logLevel: () => null,
        metrics: () => '',
      };
      return [deserialize(serialize(await answering[kind](deserialize(serialize(question)))))];
    },
  };
}

/** The first call goes to the first. */
export function alternating(first: MessagingHandlers, second: MessagingHandlers): MessagingHandlers {
  let calls = 0;
  const next = (): MessagingHandlers => (calls++ % 2 === 0 ? first : second);
  const table = <T extends object>(methods: T, of: (handlers: MessagingHandlers) => T): T =>
    new Proxy(methods, { get: (_methods, name) => Reflect.get(of(next()), name) });
  return {
    raw: table(first.raw, ({ raw }) => raw),
    rawStream: table(first.rawStream, ({ rawStream }) => rawStream),
    plain: table(first.plain, ({ plain }) => plain),
    duplex: table(first.duplex, ({ duplex }) => duplex),
  };
}
