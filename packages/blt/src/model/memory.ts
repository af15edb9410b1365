/** @file When values inside the layers are freed, so that layers.ts reads like the paper. Results do not depend on it. */
import { donating, freeDonated, isSavedForBackward, release, scope, type Tensor } from '@blt-ts/tensor';

/**
 * f(x) for a temporary x that nothing reads afterwards. A kernel in `f` may write its result over x, and x is freed as early as `f` allows
 * (`readForTheLastTime`), at the latest when `f` ends. Under a gradient tape, x stays if a rule will read it.
 */
export function consume(x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  const y = scope(() => donating([x], () => f(x)));
  if (y !== x && !isSavedForBackward(x)) release(x);
  return y;
}

/** Frees x now if the caller gave it away with `consume` and no gradient rule will read it. */
export function readForTheLastTime(x: Tensor): void {
  if (!isSavedForBackward(x)) freeDonated(x);
}
