/** @file Sums over the passes of a step: losses and gradients, in the order of the passes, whoever computed them. */
import type { Cotangent } from '@blt-ts/autograd';
import { scope, type Tensor } from '@blt-ts/tensor';
import { accumulate, clipFactor, coalesce, type Gradient, releaseBut } from '../optim/gradients.ts';
import type { Predicting } from './counted.ts';
import type { PassInput, PassResult } from './one-pass.ts';
import type { PassWorkers } from './pass-workers.ts';

/** Sums over some passes. */
export interface Sums {
  /** Sum of the losses of each pass, nats. */
  readonly totals: readonly Tensor[];
  readonly targets: number;
  readonly gradients: Map<string, Cotangent>;
}

/** Results of all passes of a step. */
export interface Passes {
  readonly totals: readonly Tensor[];
  readonly targets: number;
  /** Gradients of the sum of all losses. */
  readonly gradients: Map<string, Gradient>;
  /** Global norm of the gradient of the mean loss. */
  readonly norm: Tensor;
  /** From `gradients` to the clipped gradient of the mean loss. */
  readonly factor: Tensor;
}

/** Adds a pass. Its gradients and those of the sums are the result's, or freed. */
export const plus = (sums: Sums | null, { total, targets, gradients }: PassResult): Sums =>
  sums === null
    ? { totals: [total], targets, gradients }
    : {
        totals: [...sums.totals, total],
        targets: sums.targets + targets,
        gradients: accumulate(sums.gradients, gradients),
      };

/** Each row of a table once, and the norm of all gradients. */
export function clipped({ totals, targets, gradients: all }: Sums, gradClip: number): Passes {
  const gradients = coalesce(all);
  return { totals, targets, gradients, ...clipFactor(gradients, gradClip, 1 / targets) };
}

/**
 * The passes of a step on several threads: in each round every thread computes one.
 * @param own computes a pass on the calling thread
 * @throws WorkerError if a worker failed
 */
export async function sharedSums<Row extends Predicting>(
  workers: PassWorkers,
  passes: readonly PassInput<Row>[],
  own: (input: PassInput<Row>) => PassResult,
  gradClip: number,
): Promise<Passes> {
  let sums: Sums | null = null;
  try {
    for (let at = 0; at < passes.length; at += workers.lanes) {
      const others = passes.slice(at + 1, at + workers.lanes);
      const [mine, theirs] = await workers.beside(others, () => own(passes[at]));
      for (const result of [mine, ...theirs]) sums = plus(sums, result);
    }
    const result = scope(() => clipped(sums!, gradClip));
    releaseBut(result, sums);
    return result;
  } finally {
    workers.read();
  }
}
