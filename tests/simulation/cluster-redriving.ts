// Two consumer groups of a simulated cluster that give messages up, and an operator who redrives the dead letters of
// one of them while faults go on. A redriven message comes to its own group, with all attempts before it, and to no
// other; no letter is redriven twice, however often that is asked for; and what was acknowledged does not come again.
import type { RedriveResult } from '@fulmar/core/finding-api.ts';
import { decodeReceiptHandle, setHashOf } from '@fulmar/core/receipt-handle.ts';
import { messageTo } from '@fulmar/proxy/testing/test-client.ts';
import type { Message } from '@fulmar/proxy/testing/wire.ts';
import { keyIn, keyOf } from './cluster-filtering.ts';
import type { LaterHabit, LaterParts } from './cluster-later-habits.ts';

const OK = 20_000;
const NOTHING_CAME = 40_401;
const SEND_ATTEMPTS = 3;
const REDRIVE_ATTEMPTS = 3;
/** As official clients do, for ever and with a longer pause. */
const GIVE_UP_ATTEMPTS = 3;
const GIVE_UP_PAUSE_MS = 300;
const MAX_ATTEMPTS = 2;
const MANY_ATTEMPTS = 1_000;
const PAUSE_MS = 500;
const LEASES_MS = [1_500, 3_000, 6_000] as const;
const LONGEST_LEASE_MS = 6_000;
const DRAINED_MS = 150_000;
const LINES = ['x', 'y', 'z'] as const;

interface Repair {
  readonly id: string;
  /** Message group; empty for none. */
  readonly line: string;
  isStored: boolean;
}

/** What is known of a message in one set and one group. */
interface Fate {
  readonly repair: Repair;
  settled: 'no' | 'perhaps' | 'yes';
  /** Given up, and that was answered OK while it was leased. */
  isDead: boolean;
  /** That was asked for. */
  isGivenUp: boolean;
  receivedAtMs: number;
  leasedUntilMs: number;
}

/** As long as no master is lost nobody else gets the message until then. */
interface Hold {
  readonly untilMs: number;
  readonly upheavals: number;
}

interface Selection {
  readonly all?: boolean;
  readonly messageId?: string;
  readonly dryRun?: boolean;
}

type Letter = RedriveResult & { readonly set: string };

export class ClusterRedriving implements LaterHabit {
  isOver = false;
  readonly topics;
  /** The first one gets its letters again. */
  readonly groups;
  private readonly parts: LaterParts;
  private readonly repairs = new Map<string, Repair>();
  /** By group, and there by message and set. */
  private readonly fates = new Map<string, Map<string, Fate>>();
  private readonly redriven = new Set<string>();

  constructor(parts: LaterParts) {
    this.parts = parts;
    const { random } = parts;
    const type = random.pick(['normal', 'fifo'] as const);
    this.topics = [{ name: 'repairs', type, queues: 2 }];
    this.groups = [
      { name: 'menders', fifo: random.chance(0.3), maxAttempts: MAX_ATTEMPTS },
      { name: 'bystanders', fifo: false, maxAttempts: MANY_ATTEMPTS },
    ];
    for (const { name } of this.groups) this.fates.set(name, new Map());
  }

  private get topic() {
    return this.topics[0]!;
  }

  private get group(): string {
    return this.groups[0]!.name;
  }

  begin(): void {
    const { clients, random } = this.parts;
    const repeat = (work: () => Promise<unknown>, pauseMs: number) => {
      const on = async () => {
        while (!this.isOver) {
          await work();
          await clients.sleep(random.below(pauseMs));
        }
      };
      clients.detached(on());
    };
    repeat(() => this.send(), PAUSE_MS);
    for (const [i, { name }] of [...this.groups, this.groups[0]!].entries())
      repeat(() => this.receive(`mender-${i}`, name, random.pick(LEASES_MS), false), 300);
    repeat(async () => {
      await clients.sleep(random.below(2_000));
      const [messageId] = random.chance(0.3) ? [...this.repairs.keys()].slice(-random.between(1, 20)) : [];
      await this.redrive(messageId === undefined ? { all: true } : { messageId });
    }, 1_500);
  }

  private async send(): Promise<void> {
    const { world, clients, random } = this.parts;
    const id = `r${String(this.repairs.size).padStart(6, '0')}`;
    const line = this.topic.type === 'fifo' ? random.pick(LINES) : '';
    const repair: Repair = { id, line, isStored: false };
    this.repairs.set(id, repair);
    const wire = messageTo(this.topic.name, { messageId: id, ...(line === '' ? {} : { messageGroup: line }) }, id);
    for (let attempt = 0; attempt < SEND_ATTEMPTS && !repair.isStored; attempt++) {
      const answer = await clients.ask('breaker', (client) => client.send(wire));
      repair.isStored = answer?.entries?.[0]?.status.code === OK;
      world.trace.note(`breaker sent ${id}: ${answer?.status.code}`);
    }
  }

  // --- the operator

  /** Page by page, each asked for again when it is not answered; undefined when that was in vain. */
  private async redrive(selection: Selection): Promise<readonly Letter[] | undefined> {
    const { world, counts } = this.parts;
    const letters: Letter[] = [];
    for (let page: string | undefined = ''; page !== undefined; ) {
      const askedAtMs = world.scheduler.nowMs;
      const answer = await this.askForPage(selection, page);
      if (answer === undefined) return undefined;
      letters.push(...answer.letters);
      page = answer.nextPage === '' ? undefined : answer.nextPage;
      if (selection.dryRun) continue;
      for (const letter of answer.letters) {
        if (letter.outcome !== 'redriven') counts.notRedriven++;
        else this.noteRedriven(letter, askedAtMs);
      }
    }
    return letters;
  }

  private async askForPage(selection: Selection, page: string) {
    const { clients, world } = this.parts;
    for (let attempt = 0; attempt < REDRIVE_ATTEMPTS; attempt++) {
      const answer = await clients.administer((admin, call) =>
        admin.RedriveDeadLetters(call, { group: this.group, ...selection, page }),
      );
      const told = answer?.letters.map(({ messageId, outcome }) => `${messageId} ${outcome}`);
      world.trace.note(`an operator redrives ${JSON.stringify(selection)} ${page}: ${told}`);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  private noteRedriven({ set, messageId, letterOffset }: Letter, askedAtMs: number): void {
    const { world, counts } = this.parts;
    const { demand } = world.checker;
    const place = `${letterOffset} of ${set}`;
    demand(!this.redriven.has(place), () => `letter ${place} (${messageId}) was redriven a second time`);
    this.redriven.add(place);
    counts.redriven++;
    const fate = this.fateOf(this.group, messageId, setHashOf(set));
    demand(fate.settled !== 'yes', () => `${messageId} was acknowledged by ${this.group}, and is redriven`);
    // A letter was not acknowledged before; and it has not come since.
    if (fate.receivedAtMs < askedAtMs) Object.assign(fate, { settled: 'no', isDead: false });
  }

  // --- the consumers

  /** What came, or undefined without an answer. */
  private async receive(
    clientId: string,
    group: string,
    leaseMs: number,
    isDiligent: boolean,
  ): Promise<readonly Message[] | undefined> {
    const { clients, random, world } = this.parts;
    const askedAtMs = world.scheduler.nowMs;
    const { upheavals } = world.checker;
    const batchSize = random.between(1, 8);
    const answer = await clients.poll(clientId, { group, topic: this.topic.name, leaseMs, batchSize });
    const messages = answer?.messages ?? [];
    const told = messages.map(
      ({ systemProperties: { messageId, deliveryAttempt } }) => `${messageId}/${deliveryAttempt}`,
    );
    world.trace.note(`${clientId} received for ${group}: ${answer?.code} ${told}`);
    const hold: Hold = { untilMs: askedAtMs + leaseMs - 5, upheavals };
    for (const message of messages) this.delivered(group, message, hold.untilMs);
    for (const message of messages) {
      if (isDiligent) await this.acknowledge(clientId, group, message, hold);
      else clients.detached(this.handle(clientId, group, message, hold));
    }
    return answer?.code === OK || answer?.code === NOTHING_CAME ? messages : undefined;
  }

  private delivered(group: string, message: Message, leasedUntilMs: number): void {
    const { world, isSteady } = this.parts;
    const { demand } = world.checker;
    const { nowMs } = world.scheduler;
    const { messageId, deliveryAttempt, receiptHandle } = message.systemProperties;
    const what = `${messageId} (attempt ${deliveryAttempt}) to ${group}`;
    const isSame = Buffer.from(message.body).toString() === messageId && this.repairs.has(messageId);
    demand(isSame, () => `${what}: it was not sent so`);
    const fate = this.fateOf(group, messageId, setHashIn(receiptHandle));
    demand(fate.settled !== 'yes', () => `${what}: was acknowledged before`);
    const isWoken = fate.isDead && group !== this.group;
    demand(!isWoken, () => `${what}: was given up by it, and letters of another group were redriven`);
    const { maxAttempts } = this.groups.find(({ name }) => name === group)!;
    demand(deliveryAttempt <= maxAttempts, () => `${what}: more attempts than the group has`);
    if (isSteady && fate.repair.line !== '' && nowMs < leasedUntilMs) {
      const held = [...this.fates.get(group)!.values()].find(
        (other) => other !== fate && other.repair.line === fate.repair.line && other.leasedUntilMs > nowMs,
      );
      demand(held === undefined, () => `${what}: ${held!.repair.id} of the same message group is still worked on`);
    }
    Object.assign(fate, { receivedAtMs: nowMs, leasedUntilMs });
  }

  private async handle(clientId: string, group: string, message: Message, hold: Hold): Promise<void> {
    const { clients, random } = this.parts;
    await clients.sleep(random.chance(0.8) ? random.below(400) : random.below(3_000));
    const habit = random.below(100) + (group === this.group ? 0 : 35);
    // Whoever belongs to the first group gives up much.
    if (habit < 45) await this.giveUp(clientId, group, message, hold);
    else if (habit < 55) await this.refuse(clientId, group, message);
    else if (habit < 125) await this.acknowledge(clientId, group, message, hold);
  }

  private async giveUp(clientId: string, group: string, message: Message, hold: Hold): Promise<void> {
    const { clients, world } = this.parts;
    const fate = this.fateOfMessage(group, message);
    fate.leasedUntilMs = 0;
    fate.isGivenUp = true;
    let isOk = false;
    for (let attempt = 0; attempt < GIVE_UP_ATTEMPTS && !isOk; attempt++) {
      const answer = await clients.ask(clientId, (client) => client.forward(group, message));
      isOk = answer?.status.code === OK;
      world.trace.note(`${clientId} gave ${fate.repair.id} up for ${group}: ${answer?.status.code}`);
      if (!isOk) await clients.sleep(GIVE_UP_PAUSE_MS);
    }
    if (isOk && this.isSafe(hold)) fate.isDead = true;
  }

  private async refuse(clientId: string, group: string, message: Message): Promise<void> {
    const { clients, world, random } = this.parts;
    const fate = this.fateOfMessage(group, message);
    fate.leasedUntilMs = 0;
    const answer = await clients.ask(clientId, (client) => client.nack(group, message, random.below(1_500)));
    world.trace.note(`${clientId} refused ${fate.repair.id} for ${group}: ${answer?.status.code}`);
  }

  private async acknowledge(clientId: string, group: string, message: Message, hold: Hold): Promise<void> {
    const { clients, world } = this.parts;
    const fate = this.fateOfMessage(group, message);
    if (fate.settled === 'no') fate.settled = 'perhaps';
    fate.leasedUntilMs = 0;
    const answer = await clients.ask(clientId, (client) => client.ack(group, message));
    world.trace.note(`${clientId} acknowledged ${fate.repair.id} for ${group}: ${answer?.status.code}`);
    const isOk = answer?.entries?.[0]?.status.code === OK;
    // Behind its lease it may have become a letter, and acknowledging what is settled is answered OK.
    if (isOk && (this.isSafe(hold) || group !== this.group)) fate.settled = 'yes';
  }

  private isSafe({ untilMs, upheavals }: Hold): boolean {
    const { world, isSteady } = this.parts;
    return isSteady && world.scheduler.nowMs < untilMs && upheavals === world.checker.upheavals;
  }

  private fateOfMessage(group: string, { systemProperties }: Message): Fate {
    return this.fateOf(group, systemProperties.messageId, setHashIn(systemProperties.receiptHandle));
  }

  private fateOf(group: string, id: string, setHash: number): Fate {
    const fates = this.fates.get(group)!;
    const key = keyIn(setHash, id);
    const known = fates.get(key);
    if (known !== undefined) return known;
    const fate: Fate = {
      ...{ repair: this.repairs.get(id)!, settled: 'no', isDead: false, isGivenUp: false },
      ...{ receivedAtMs: Number.NEGATIVE_INFINITY, leasedUntilMs: 0 },
    };
    fates.set(key, fate);
    return fate;
  }

  // --- when all is well

  /** Takes all there is and redrives until there is nothing to redrive; with another leader then all stays so. */
  async drain(): Promise<void> {
    const { clients, world, handOver } = this.parts;
    const { demand } = world.checker;
    const endMs = world.scheduler.nowMs + DRAINED_MS;
    await clients.sleep(LONGEST_LEASE_MS + 1_500);
    for (const { name } of this.groups) await this.empty(name);
    const would = redrivenOf(await this.redriveSurely({ all: true, dryRun: true }));
    const early = await this.empty(this.group);
    const woken = would.find((each) => early.has(each));
    demand(woken === undefined, () => `${woken} came to ${this.group} after it was only said what would be redriven`);
    let isOver = false;
    while (!isOver && world.scheduler.nowMs < endMs) {
      const letters = redrivenOf(await this.redriveSurely({ all: true }));
      await this.redriveTheSame(letters);
      isOver = letters.length === 0 && this.owed() === undefined;
      if (letters.length === 0 && !isOver) await clients.sleep(LONGEST_LEASE_MS);
      for (const { name } of this.groups) if (name !== this.group) await this.empty(name);
    }
    await handOver();
    const again = redrivenOf(await this.redriveSurely({ all: true }));
    demand(again.length === 0, () => `${again} were redriven once more by the next master`);
    const late = await this.empty(this.group);
    demand(late.size === 0, () => `${[...late.keys()]} came to ${this.group} from the next master`);
  }

  /** Each of these letters comes as a first attempt, once; nothing comes twice because it was asked for twice. */
  private async redriveTheSame(letters: readonly string[]): Promise<void> {
    const { world, keepsAll } = this.parts;
    const { demand } = world.checker;
    const again = redrivenOf(await this.redriveSurely({ all: true }));
    demand(again.length === 0, () => `${again} were redriven twice`);
    const came = await this.empty(this.group);
    const wrong = letters.find((each) => came.get(each) !== 1);
    demand(!keepsAll || wrong === undefined, () => `${wrong} was redriven and came as attempt ${came.get(wrong!)}`);
  }

  private async redriveSurely(selection: Selection): Promise<readonly Letter[]> {
    const letters = await this.redrive(selection);
    this.parts.world.checker.demand(letters !== undefined, () => 'dead letters cannot be redriven though all is well');
    return letters!;
  }

  /** Acknowledges whatever is there; the attempt in which each message came first. */
  private async empty(group: string): Promise<ReadonlyMap<string, number>> {
    const came = new Map<string, number>();
    for (let quiet = 0; quiet < 2; ) {
      const messages = await this.receive('mender-drain', group, LONGEST_LEASE_MS, true);
      for (const message of messages ?? []) {
        const key = keyOf(message);
        if (!came.has(key)) came.set(key, message.systemProperties.deliveryAttempt);
      }
      quiet = messages?.length === 0 ? quiet + 1 : 0;
    }
    return came;
  }

  private owed(): string | undefined {
    if (!this.parts.keepsAll) return undefined;
    for (const [group, fates] of this.fates) {
      const isOver = ({ settled, isGivenUp }: Fate) => settled !== 'no' || (isGivenUp && group !== this.group);
      const open = [...fates.values()].find((fate) => !isOver(fate));
      if (open !== undefined) return `${open.repair.id} never came to its end in ${group}`;
      const known = new Set([...fates.values()].map(({ repair }) => repair));
      const missing = [...this.repairs.values()].find((repair) => repair.isStored && !known.has(repair));
      if (missing !== undefined) return `${missing.id} never came to ${group}`;
    }
    return undefined;
  }

  finished(): void {
    const owed = this.owed();
    this.parts.world.checker.demand(owed === undefined, () => owed!);
  }
}

function setHashIn(receiptHandle: string): number {
  return decodeReceiptHandle(receiptHandle)!.setHash;
}

/** As `keyOf` names messages. */
function redrivenOf(letters: readonly Letter[]): readonly string[] {
  return letters.flatMap(({ outcome, messageId, set }) =>
    outcome === 'redriven' ? [keyIn(setHashOf(set), messageId)] : [],
  );
}
