// Does the same to many things, a bounded number of them at a time.
const AT_A_TIME = 64;

export async function allAtOnce<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
  atATime = AT_A_TIME,
): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: atATime }, async () => {
    while (next < items.length) await work(items[next++]!);
  });
  await Promise.all(workers);
}
