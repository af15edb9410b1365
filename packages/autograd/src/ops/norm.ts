/** @file Normalisation. composed.ts has it as primitive operations. */
import { checkNumbers, type Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/**
 * Root-mean-square normalisation over the last axis: y = x / sqrt(mean(x^2) + eps) * w.
 * @param x [..., C]   @param w [C]   @param eps added under the root
 * @throws ShapeError if w is not [C], TypeError for an eps that is no number
 * @see Zhang & Sennrich 2019, eq. 4
 */
export function rmsNorm(x: Tensor, w: Tensor, eps = 1e-5): Tensor {
  checkNumbers('rmsNorm', { eps });
  return apply('rmsNorm', [x, w], { eps });
}
