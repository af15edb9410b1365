/** @file Layer normalisation. */
import { checkNumbers, checkTensor, formatShape, ShapeError, sameShape, type Tensor } from '@blt-ts/tensor';
import { add, affine, div, mul, sqrt, square, sub } from '../ops/elementwise.ts';
import { mean } from '../ops/reduce.ts';

/**
 * Layer normalisation over the last axis: y = (x - mean) / sqrt(variance + eps) * weight + bias, the variance without correction.
 * @param x [..., C]   @param weight [C], 1 unless given   @param bias [C], 0 unless given   @param eps added under the root
 * @throws ShapeError if weight or bias is not [C], TypeError for an eps that is no number
 * @see Ba et al. 2016, eq. 4
 */
export function layerNorm(x: Tensor, weight?: Tensor | null, bias?: Tensor | null, eps = 1e-5): Tensor {
  checkTensor('layerNorm: x', x);
  checkNumbers('layerNorm', { eps });
  if (x.rank === 0) throw new ShapeError('layerNorm: x needs at least one axis');
  for (const [name, t] of Object.entries({ weight, bias })) {
    if (t === undefined || t === null) continue;
    checkTensor(`layerNorm: ${name}`, t);
    if (sameShape(t.shape, x.shape.slice(-1))) continue;
    throw new ShapeError(`layerNorm: ${name} must be ${formatShape(x.shape.slice(-1))}, got ${formatShape(t.shape)}`);
  }
  const over = { axes: -1, keepDims: true };
  const centred = sub(x, mean(x, over));
  const y = div(centred, sqrt(affine(mean(square(centred), over), 1, eps)));
  const scaled = weight ? mul(y, weight) : y;
  return bias ? add(scaled, bias) : scaled;
}
