/** @file The learning rate of a step. */

/**
 * @param given that of the call   @param usual that of the options
 * @throws TypeError if there is neither, RangeError for a rate that is negative or not finite
 */
export function rateOf(op: string, given: number | undefined, usual: number | undefined): number {
  const lr = given ?? usual;
  if (lr === undefined) {
    throw new TypeError(`${op}: no learning rate; give one to step(gradients, lr), or the option lr to new ${op}`);
  }
  if (!(lr >= 0 && lr < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`${op}: the learning rate must be a finite number from 0 on, got ${lr}`);
  }
  return lr;
}
