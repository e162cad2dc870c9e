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
const transactions = (title: string): Kept => kept('tests/integration/clients-transactions.test.ts', title);

export const CLIENT_FEATURES: readonly FeatureRow[] = [
  {
    feature: 'send',
    needs: ['producer'],
    test: matrix('messages, and each is confirmed'),
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
    feature: 'SQL filter',
    needs: ['push consumer'],
    test: matrix('gives the consumer exactly the messages whose properties it asks for: %s'),
  },
  {
    feature: 'FIFO, sent',
    needs: ['producer'],
    test: matrix('that %s sends one after the other reach the push consumer of %s in this order'),
  },
  {
    feature: 'FIFO, consumed',
    needs: ['push consumer'],
    test: matrix('that %s sends one after the other reach the push consumer of %s in this order'),
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
    feature: 'delay and recall',
    needs: ['recall'],
    test: matrix('of $name arrive once, and those that it recalls never do'),
  },
  {
    feature: 'transaction',
    needs: ['producer'],
    test: transactions('are committed and rolled back, and nobody is asked about them'),
  },
  {
    feature: 'TLS or plaintext by default',
    needs: ['producer'],
    test: matrix(
      'clients that begin with TLS and clients that begin in plaintext are served on the same port at the same time',
    ),
  },
];
