/** @file The place in an exercise where the reader's code belongs. */

/** An exercise has reached a place that nobody has filled yet. */
export class UnsolvedError extends Error {
  override readonly name = 'UnsolvedError';
  constructor() {
    super('the hole is still there: replace the line with `hole(...)` by code of yours');
  }
}

/** Stands for a value that the reader is to compute. @throws UnsolvedError always */
export function hole(..._given: readonly unknown[]): never {
  throw new UnsolvedError();
}
