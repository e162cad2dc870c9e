// Work that usually finds everything in memory and sometimes has to wait for the disk: written once, as a generator
// that yields only the promises it really meets, and run to its end in the same turn when there are none.

export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Inside a generator: the value at once, or after the wait. */
export function* awaited<T>(value: T | Promise<T>): Steps<T> {
  return value instanceof Promise ? ((yield value) as T) : value;
}

/** Runs the steps; a promise comes back only if one of them had to wait. */
export function run<T>(steps: Steps<T>): T | Promise<T> {
  const first = steps.next();
  return first.done ? first.value : finish(steps, first.value);
}

async function finish<T>(steps: Steps<T>, firstWait: Promise<unknown>): Promise<T> {
  let wait = firstWait;
  for (;;) {
    const outcome = await wait.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const step = 'error' in outcome ? steps.throw(outcome.error) : steps.next(outcome.value);
    if (step.done) return step.value;
    wait = step.value;
  }
}
