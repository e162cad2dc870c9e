// Replaces a method of the running program, to plant a mistake in it.

export type Method = (...values: unknown[]) => unknown;

/** Replaces a method, private ones too; the replacement gets the object and the method that was there. */
export function replaced(
  target: object,
  key: string,
  method: (self: object, original: Method, ...values: unknown[]) => unknown,
) {
  const found = Object.getOwnPropertyDescriptor(target, key);
  if (typeof found?.value !== 'function') throw new Error(`there is no method ${key} to make a mistake in`);
  const value = function (this: object, ...values: unknown[]): unknown {
    return method(this, (...others) => found.value.apply(this, others), ...values);
  };
  Object.defineProperty(target, key, { ...found, value });
}
