// The questions of proxies that only a master answers: handed to the broker of the current reign, and answered with
// NOT_MASTER while there is none.
import type {
  AckCommand,
  ChangeInvisibleCommand,
  ClientsReport,
  DeadLetterCommand,
  GroupDescription,
  GroupRequest,
  JoinCommand,
  PopCall,
  PopCommand,
  RecallCommand,
  SendCommand,
  SendResult,
  SubscriptionLag,
  TopicDescription,
  TopicRequest,
  TopicStatus,
} from '@fulmar/core/broker-api.ts';
import { type Fault, fault, type Outcome } from '@fulmar/core/errors.ts';
import { type FindingApi, refusingFinding } from '@fulmar/core/finding-api.ts';
import { type LiteApi, refusingLite } from '@fulmar/core/lite-api.ts';
import type {
  GroupOffset,
  OffsetTarget,
  PullCommand,
  PulledMessages,
  QueueName,
  QueueReset,
  ResetCommand,
} from '@fulmar/core/offsets.ts';
import { refusingSchedules, type ScheduleApi } from '@fulmar/core/schedule-api.ts';
import { refusingTransactions, type TransactionApi } from '@fulmar/core/transaction-api.ts';
import type { Broker, MasterApi } from './broker.ts';

export const NOT_MASTER = fault('NOT_MASTER', 'This broker is not the master of its set. Ask the one that is.');
const NO_TRANSACTIONS = refusingTransactions(NOT_MASTER);
const NO_FINDING = refusingFinding(NOT_MASTER);
const NO_SCHEDULES = refusingSchedules(NOT_MASTER);
const NO_LITE = refusingLite(NOT_MASTER);

export abstract class MasterQuestions implements Omit<MasterApi, 'listTopics'> {
  /** There as long as this replica leads. */
  protected broker: Broker | undefined;

  get transactions(): TransactionApi {
    return this.broker?.transactions ?? NO_TRANSACTIONS;
  }

  get finding(): FindingApi {
    return this.broker?.finding ?? NO_FINDING;
  }

  get schedules(): ScheduleApi {
    return this.broker?.schedules ?? NO_SCHEDULES;
  }

  get lite(): LiteApi {
    return this.broker?.lite ?? NO_LITE;
  }

  send(command: SendCommand): Promise<readonly SendResult[]> {
    return this.broker?.send(command) ?? Promise.resolve(command.messages.map(() => ({ fault: NOT_MASTER })));
  }

  pop(command: PopCommand): PopCall {
    return this.broker?.pop(command) ?? { result: Promise.resolve({ fault: NOT_MASTER }), cancel() {} };
  }

  peekPriority(group: string, topic: string): Promise<Outcome<number>> {
    return this.master((broker) => broker.peekPriority(group, topic));
  }

  join(command: JoinCommand): Promise<Outcome<readonly number[] | undefined>> {
    return this.master((broker) => broker.join(command));
  }

  async release(command: AckCommand): Promise<void> {
    await this.broker?.release(command);
  }

  ack(command: AckCommand): Promise<readonly (Fault | undefined)[]> {
    return this.broker?.ack(command) ?? Promise.resolve(command.receiptHandles.map(() => NOT_MASTER));
  }

  async changeInvisible(command: ChangeInvisibleCommand): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.changeInvisible(command);
  }

  async deadLetter(command: DeadLetterCommand): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.deadLetter(command);
  }

  async recall(command: RecallCommand): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.recall(command);
  }

  async reportClients(report: ClientsReport): Promise<void> {
    await this.broker?.reportClients(report);
  }

  ensureGroup(name: string, create: boolean): Promise<Outcome<GroupDescription>> {
    return this.master((broker) => broker.ensureGroup(name, create));
  }

  putTopic(request: TopicRequest): Promise<Outcome<TopicDescription>> {
    return this.master((broker) => broker.putTopic(request));
  }

  async deleteTopic(name: string): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.deleteTopic(name);
  }

  describeTopic(name: string): Promise<Outcome<TopicStatus>> {
    return this.master((broker) => broker.describeTopic(name));
  }

  putGroup(request: GroupRequest): Promise<Outcome<GroupDescription>> {
    return this.master((broker) => broker.putGroup(request));
  }

  async deleteGroup(name: string): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.deleteGroup(name);
  }

  async deleteSubscription(group: string, topic: string): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.deleteSubscription(group, topic);
  }

  async listGroups(): Promise<readonly GroupDescription[]> {
    return (await this.broker?.listGroups()) ?? [];
  }

  lag(group: string): Promise<Outcome<readonly SubscriptionLag[]>> {
    return this.master((broker) => broker.lag(group));
  }

  pull(command: PullCommand): Promise<Outcome<PulledMessages>> {
    return this.master((broker) => broker.pull(command));
  }

  async putOffset(offset: GroupOffset): Promise<Fault | undefined> {
    return this.broker === undefined ? NOT_MASTER : this.broker.putOffset(offset);
  }

  getOffset(group: string, queue: QueueName): Promise<Outcome<number>> {
    return this.master((broker) => broker.getOffset(group, queue));
  }

  findOffset(queue: QueueName, target: OffsetTarget): Promise<Outcome<number>> {
    return this.master((broker) => broker.findOffset(queue, target));
  }

  resetGroup(command: ResetCommand): Promise<Outcome<readonly QueueReset[]>> {
    return this.master((broker) => broker.resetGroup(command));
  }

  private async master<T>(ask: (broker: MasterApi) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    return this.broker === undefined ? { fault: NOT_MASTER } : ask(this.broker);
  }
}
