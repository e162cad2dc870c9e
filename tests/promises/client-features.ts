// What the official clients are tested with, feature by feature. Which client lacks what, and where that stands, is in
// the matrix of the tests; a feature of a client is tested unless the matrix says otherwise.
import type { Kind } from '../integration/clients-languages.ts';
import { type Kept, kept } from './promise.ts';

export interface FeatureRow {
  readonly feature: string;
  /** Kinds of the matrix that a client has to have for it. */
  readonly needs: readonly Kind[];
  readonly test: Kept;
}

const matrix = (title: string): Kept => kept('tests/integration/clients.test.ts', title);
const lite = (title: string): Kept => kept('tests/integration/clients-lite.test.ts', title);
const choosing = (title: string): Kept => kept('tests/integration/clients-choosing.test.ts', title);
const membership = (title: string): Kept => kept('tests/integration/clients-membership.test.ts', title);
const priority = (title: string): Kept => kept('tests/integration/clients-priority.test.ts', title);
const transactions = (title: string): Kept => kept('tests/integration/clients-transactions.test.ts', title);

export const CLIENT_FEATURES: readonly FeatureRow[] = [
  {
    feature: 'send',
    needs: ['producer'],
    test: matrix('messages, and each is confirmed'),
  },
  {
    feature: 'send several messages a call',
    needs: ['batch'],
    test: choosing('of $name are received, all of them and once'),
  },
  {
    feature: 'simple consumer',
    needs: ['simple consumer'],
    test: matrix('what %s sends, the simple consumer of %s receives: all of it, once, unchanged'),
  },
  {
    feature: 'push consumer',
    needs: ['push consumer'],
    test: matrix('what %s sends, the push consumer of %s receives: all of it, once, unchanged'),
  },
  {
    feature: 'retry',
    needs: ['push consumer'],
    test: matrix('comes back to the $name client as its second attempt, and the others do not'),
  },
  {
    feature: 'dead letters',
    needs: ['push consumer'],
    test: matrix(
      'every time is tried as often as its group allows, and then lies in the dead-letter topic for the $name client',
    ),
  },
  {
    feature: 'put off by a simple consumer',
    needs: ['simple consumer', 'put off'],
    test: choosing('comes back to the $name client as its second attempt, and the others do not'),
  },
  {
    feature: 'tags, push consumer',
    needs: ['push consumer'],
    test: choosing('gives the $kind consumer of $name exactly the messages with one of them'),
  },
  {
    feature: 'tags, simple consumer',
    needs: ['simple consumer'],
    test: choosing('gives the $kind consumer of $name exactly the messages with one of them'),
  },
  {
    feature: 'SQL filter, push consumer',
    needs: ['push consumer'],
    test: matrix('gives the consumer exactly the messages whose properties it asks for: %s'),
  },
  {
    feature: 'SQL filter, simple consumer',
    needs: ['simple consumer'],
    test: matrix('gives the consumer exactly the messages whose properties it asks for: %s'),
  },
  {
    feature: 'FIFO, sent',
    needs: ['producer'],
    test: matrix('that %s sends one after the other reach the push consumer of %s in this order'),
  },
  {
    feature: 'FIFO, push consumer',
    needs: ['push consumer'],
    test: matrix('that %s sends one after the other reach the push consumer of %s in this order'),
  },
  {
    feature: 'FIFO, simple consumer',
    needs: ['simple consumer'],
    test: choosing('reach the simple consumer of $name in the order in which it sent them'),
  },
  {
    feature: 'broadcasting, push consumer',
    needs: ['push consumer'],
    test: membership('of all languages get every message once, each for itself'),
  },
  {
    feature: 'broadcasting, simple consumer',
    needs: ['simple consumer'],
    test: membership('of all languages get every message once, each for itself'),
  },
  {
    feature: 'exclusive queues, push consumer',
    needs: ['push consumer'],
    test: membership('of $name share the queues, and when one is killed the other has them all within seconds'),
  },
  {
    feature: 'exclusive queues, simple consumer',
    needs: ['simple consumer'],
    test: membership('of $name share the queues, and when one is killed the other has them all within seconds'),
  },
  {
    feature: 'lite topics, sent',
    needs: ['lite producer'],
    test: lite('the lite producer of $name makes lite topics by sending to them'),
  },
  {
    feature: 'lite topics, pushed',
    needs: ['lite push consumer'],
    test: lite('the lite %s consumer of %s gets its lite topics, each in order, all of it once, and no other'),
  },
  {
    feature: 'lite topics, simple',
    needs: ['lite simple consumer'],
    test: lite('the lite %s consumer of %s gets its lite topics, each in order, all of it once, and no other'),
  },
  {
    feature: 'delay',
    needs: ['producer'],
    test: matrix('of $name come when they are due, and not before'),
  },
  {
    feature: 'recall',
    needs: ['recall'],
    test: matrix('of $name arrive once, and those that it recalls never do'),
  },
  {
    feature: 'priority, simple consumer',
    needs: ['priority', 'simple consumer'],
    test: priority('reach its simple consumer in the order of their priorities'),
  },
  {
    feature: 'priority, push consumer',
    needs: ['priority', 'push consumer'],
    test: priority('reach its push consumer, all of them and once'),
  },
  {
    feature: 'transaction, ended by its producer',
    needs: ['producer'],
    test: transactions('are committed and rolled back, and nobody is asked about them'),
  },
  {
    feature: 'transaction, checked',
    needs: ['producer'],
    test: transactions('whose producer was killed are answered for by another producer of the topic'),
  },
  {
    feature: 'pull consumer',
    needs: ['pull consumer'],
    test: kept(
      'services/proxy/testing/acceptance-offsets.ts',
      'PullMessage gives what stands from an offset on, and where to go on',
    ),
  },
  {
    feature: 'TLS or plaintext by default',
    needs: ['producer'],
    test: matrix(
      'clients that begin with TLS and clients that begin in plaintext are served on the same port at the same time',
    ),
  },
];
