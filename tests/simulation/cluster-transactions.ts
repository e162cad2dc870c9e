// Producers of transactions of a simulated cluster: they send a half message once, end it through any proxy, or die in
// between; and one that answers the questions which any proxy puts on its Telemetry stream. When all is well again
// everything that was stored must come to its end.
import type { BrokerNode } from '@fulmar/broker/node.ts';
import type { OpenTransaction, Resolution } from '@fulmar/core/transaction-api.ts';
import type { TelemetryStream } from '@fulmar/proxy/testing/telemetry-stream.ts';
import { messageTo, producerSettingsOf, TestClient } from '@fulmar/proxy/testing/test-client.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import type { ClusterMessage } from './cluster-checker.ts';
import { type ClientWorld, type ClusterClients, NEW } from './cluster-clients.ts';
import type { ProxyLife } from './cluster-proxy.ts';
import type { SimulatedTransaction } from './transaction-checker.ts';

const OK = 20_000;
const INVALID_TRANSACTION_ID = 40_008;
export const TRANSACTION_TOPIC = 'deals';
const LISTEN_MS = 200;
const ANSWERER = 'answerer';

export class ClusterTransactions {
  isOver = false;
  private readonly world: ClientWorld;
  private readonly clients: ClusterClients;
  private readonly messages = new Map<string, ClusterMessage>();
  private readonly streams = new Map<ProxyLife, { readonly stream: TelemetryStream; read: number }>();
  private numbered = 0;

  constructor(world: ClientWorld, clients: ClusterClients) {
    this.world = world;
    this.clients = clients;
  }

  produce(everyMs: number): void {
    const clientId = `dealer-${++this.numbered}`;
    const work = async () => {
      while (!this.isOver) {
        await this.deal(clientId);
        await this.clients.sleep(this.world.random.below(2 * everyMs));
      }
    };
    this.clients.detached(work());
  }

  private async deal(clientId: string): Promise<void> {
    const { random, checker, transactions, trace } = this.world;
    const id = `d${String(++this.numbered).padStart(6, '0')}`;
    const message: ClusterMessage = {
      ...{
        id,
        topic: TRANSACTION_TOPIC,
        key: '',
        order: 0,
        deliverAtMs: 0,
        body: `${id} ${'x'.repeat(random.below(300))}`,
      },
      ...{ ...NEW, places: new Map(), offsets: new Set() },
    };
    this.messages.set(id, message);
    checker.sending(message);
    const transaction = transactions.sending(id);
    const half = messageTo(TRANSACTION_TOPIC, { messageId: id, messageType: 4 }, message.body);
    const answer = await this.clients.ask(clientId, (client) => client.send(half));
    const entry = answer?.entries?.[0];
    trace.note(`${clientId} sent half ${id}: ${answer?.status.code} ${entry?.transactionId}`);
    if (entry?.status.code !== OK) return;
    transactions.sendAnswered(transaction, entry.transactionId);
    transaction.decision ??= random.chance(0.7) ? 'commit' : 'rollback';
    await this.clients.sleep(random.below(600));
    // Its process has died, or it does not know yet.
    if (random.chance(0.3)) return;
    await this.end(clientId, transaction, transaction.decision);
    if (random.chance(0.1) && transaction.ended !== undefined) {
      await this.end(clientId, transaction, transaction.ended === 'commit' ? 'rollback' : 'commit');
    }
  }

  private async end(clientId: string, transaction: SimulatedTransaction, resolution: Resolution): Promise<void> {
    const { transactions, trace, scheduler } = this.world;
    const { id, transactionId } = transaction;
    transactions.ending(transaction, resolution);
    const request: Message = {
      ...{ topic: { name: TRANSACTION_TOPIC }, messageId: id, transactionId },
      resolution: resolution === 'commit' ? 1 : 2,
    };
    const answer = await this.clients.ask(clientId, (client) => client.plain('EndTransaction', request));
    const code = answer?.status.code;
    trace.note(`${clientId} ended ${id} by ${resolution}: ${code}`);
    if (code === INVALID_TRANSACTION_ID) transactions.endAnswered(transaction, resolution, 'INVALID');
    if (code !== OK) return;
    transactions.endAnswered(transaction, resolution, 'OK');
    if (resolution === 'commit')
      Object.assign(this.messages.get(id)!, { isStored: true, answeredAtMs: scheduler.nowMs });
  }

  /** Answers what proxies ask, for as long as the story lasts. */
  listen(): void {
    const work = async () => {
      for (;;) {
        for (const { life } of this.world.proxies) if (life !== undefined) this.hear(life);
        await this.clients.sleep(LISTEN_MS);
      }
    };
    this.clients.detached(work());
  }

  private hear(life: ProxyLife): void {
    const heard = this.streams.get(life);
    if (heard === undefined) {
      const stream = new TestClient(life.service.handlers, { clientId: ANSWERER }).telemetry();
      this.streams.set(life, { stream, read: 0 });
      life.process.deliver(() => stream.send(producerSettingsOf(TRANSACTION_TOPIC)));
      return;
    }
    const commands = heard.stream.received.slice(heard.read);
    heard.read += commands.length;
    for (const { recoverOrphanedTransactionCommand: question } of commands) {
      if (question != null) this.clients.detached(this.answer(question));
    }
  }

  private async answer({ message, transactionId }: Message): Promise<void> {
    const { random, transactions, trace, checker } = this.world;
    const { messageId } = message.systemProperties;
    trace.note(`asked about ${messageId}`);
    const sent = this.messages.get(messageId);
    const body = Buffer.from(message.body).toString();
    checker.demand(sent?.body === body, () => `a question about ${messageId} has another body`);
    const question = { messageId, transactionId, checks: 0 } as OpenTransaction;
    const transaction = transactions.asked(question, false);
    if (random.chance(0.2)) return;
    await this.clients.sleep(random.below(300));
    // Who never heard that the half message was stored has done nothing.
    transaction.decision ??= 'rollback';
    await this.end(ANSWERER, transaction, transaction.decision);
  }

  /** Whether everything that was stored has come to its end; ends whose answers were lost are repeated. */
  async settled(masters: readonly BrokerNode[]): Promise<boolean> {
    const open = [...this.world.transactions.byId.values()].filter(
      ({ transactionId, ended, isDoubtful }) => transactionId !== undefined && ended === undefined && !isDoubtful,
    );
    for (const transaction of open) {
      const [resolution] = transaction.asked;
      if (resolution !== undefined) await this.end(ANSWERER, transaction, resolution);
    }
    for (const { transactions } of masters) {
      const left = await transactions.list({ topic: '', expiredOnly: false, after: '', count: 1 });
      if (left.value?.length !== 0) return false;
    }
    return open.length === 0;
  }
}
