// The lite topics of each LITE topic by name, those that were written to least lately first, so that what has expired
// is found without a search.
import type { Topic } from './topics.ts';

export class LiteTopics {
  private readonly byParent = new Map<number, Map<string, Topic>>();
  size = 0;

  /** The LITE topics that hold any. */
  parents(): Iterable<number> {
    return this.byParent.keys();
  }

  /** In the order of their last message; those that never had one where they were made. */
  of(parentId: number): ReadonlyMap<string, Topic> {
    return this.byParent.get(parentId) ?? NONE;
  }

  find(parentId: number, name: string): Topic | undefined {
    return this.byParent.get(parentId)?.get(name);
  }

  add(topic: Topic): void {
    const { parentId, name } = topic.lite!;
    const inside = this.byParent.get(parentId);
    if (inside === undefined) this.byParent.set(parentId, new Map([[name, topic]]));
    else inside.set(name, topic);
    this.size++;
  }

  /** It was just written to. */
  touch(topic: Topic): void {
    const { parentId, name } = topic.lite!;
    const inside = this.byParent.get(parentId);
    if (inside?.delete(name)) inside.set(name, topic);
  }

  remove(topic: Topic): void {
    const { parentId, name } = topic.lite!;
    const inside = this.byParent.get(parentId);
    if (!inside?.delete(name)) return;
    this.size--;
    if (inside.size === 0) this.byParent.delete(parentId);
  }

  removeAll(parentId: number): readonly Topic[] {
    const inside = [...this.of(parentId).values()];
    this.byParent.delete(parentId);
    this.size -= inside.length;
    return inside;
  }
}

const NONE: ReadonlyMap<string, Topic> = new Map();
