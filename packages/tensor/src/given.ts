/** @file Checks of arguments: words for a value of the wrong kind, and options that do not exist. */

/** The mark of this copy's tensors. Another copy of this package makes objects of the same form, which `instanceof` does not know. */
export const OWN: unique symbol = Symbol('tensor');
export const isForeignTensor = (x: object): boolean => 'storage' in x && 'shape' in x && 'freed' in x && !(OWN in x);

/** A value that is not what is wanted: "null", "an array", "the string "12"". */
export function describe(x: unknown): string {
  if (x === null || x === undefined || typeof x === 'number') return String(x);
  if (typeof x === 'string') return `the string ${JSON.stringify(x.length > 20 ? `${x.slice(0, 20)}...` : x)}`;
  if (Array.isArray(x)) return 'an array';
  if (typeof x !== 'object') return `a ${typeof x}`;
  if (x instanceof Promise) {
    // The error in whose text this stands tells of it. Without this, its failure would end the process later.
    x.catch(() => {});
    return 'a promise: await it first';
  }
  if (OWN in x) return 'a tensor';
  if (isForeignTensor(x)) {
    return 'a tensor of another copy of @blt-ts/tensor: two are loaded, and `npm ls @blt-ts/tensor` shows where';
  }
  const { name = 'Object' } = x.constructor ?? {};
  return name === 'Object' ? 'a plain object' : `a ${name}`;
}

/** @throws TypeError naming an option that does not exist, and those that do */
export function checkOptions(op: string, options: object, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options) || OWN in options) {
    throw new TypeError(`${op}: options are an object such as { ${known[0]}: ... }, got ${describe(options)}`);
  }
  // An object with a class may have more fields than these options, and only the known ones are read.
  if (Object.getPrototypeOf(options) !== Object.prototype) return;
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new TypeError(`${op}: there is no option ${key}, only ${known.join(', ')}`);
  }
}

/** @throws TypeError if a function that has to be synchronous returned a promise */
export function refusePromise(op: string, result: unknown): void {
  if (!(result instanceof Promise)) return;
  // As in `describe`.
  result.catch(() => {});
  throw new TypeError(`${op}: the function returned a promise; make it synchronous and await the result outside`);
}

/** @throws TypeError naming the first of these arguments that is no number */
export function checkNumbers(op: string, given: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'number' && !Number.isNaN(value)) continue;
    throw new TypeError(`${op}: ${name} must be a number, got ${describe(value)}`);
  }
}

/** @throws TypeError for an argument that the operation would not look at   @param instead what the caller may want */
export function checkNoMore(op: string, more: readonly unknown[], instead: string): void {
  if (more.length > 0) throw new TypeError(`${op}: it takes no further argument, got ${describe(more[0])}; ${instead}`);
}
