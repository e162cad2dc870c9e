// Ends, cuts off and starts whole nodes through the program that made them. Only clusters on this machine have one.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { command, ROOT } from '../chaos/machine.ts';

/** Where the scripts of a cluster on this machine are. */
export const KUBE_DIRECTORY = process.env.FULMAR_KUBE ?? join(ROOT, '../shared/kube');

export class NodeTool {
  private readonly program: string;

  private constructor(program: string) {
    this.program = program;
  }

  /** Undefined where nodes cannot be ended. */
  static find(): NodeTool | undefined {
    const program = join(KUBE_DIRECTORY, 'node');
    return existsSync(program) ? new NodeTool(program) : undefined;
  }

  /** All processes of the node end at once, as in a power cut. */
  kill = (node: string) => this.play('kill', node);
  /** Boots it again after that. */
  start = (node: string) => this.play('start', node);
  /** Takes it off the network, with everything on it running. */
  cut = (node: string) => this.play('cut', node);
  /** Puts it back. */
  join = (node: string) => this.play('join', node);

  private async play(what: string, node: string): Promise<void> {
    const number = /^node(\d+)$/.exec(node)?.[1];
    if (number === undefined) throw new Error(`"${node}" is not the name of a node that ${this.program} has made.`);
    await command(this.program, [what, number]);
  }
}
