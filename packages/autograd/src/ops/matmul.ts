/** @file Matrix products. */
import { checkNoMore, checkOptions, checkTensor, sizeOf, type Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';
import { reshape, transpose } from './shape.ts';

/** Which operands of `matmul` are stored transposed. */
export interface MatmulOptions {
  /** Read a as [.., K, M]. */
  transposeA?: boolean;
  /** Read b as [.., N, K]: the layout of a linear layer's weight. */
  transposeB?: boolean;
}

/**
 * Matrix product over the last two axes: a [.., M, K] x b [.., K, N] -> [.., M, N].
 * Leading axes must be equal; a b with two axes is shared by every matrix of a.
 * @throws ShapeError naming both shapes and the sizes that clash
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkTensor('matmul: a', a);
  checkTensor('matmul: b', b);
  checkOptions('matmul', options, ['transposeA', 'transposeB']);
  const { transposeA = false, transposeB = false } = options;
  if (b.rank === 2 && a.rank > 2 && a.shape.at(transposeA ? -2 : -1) === b.shape[transposeB ? 1 : 0]) {
    const last = a.rank - 1;
    const rows = transposeA ? transpose(a, [...a.shape.keys()].slice(0, -2).concat(last, last - 1)) : a;
    const lead = rows.shape.slice(0, -1);
    const y = matmul(reshape(rows, [sizeOf(lead), rows.shape[last]]), b, { transposeB });
    return reshape(y, [...lead, y.shape[1]]);
  }
  return apply('matmul', [a, b], { transposeA, transposeB });
}

/** x W^T: x [.., in], weight [out, in] -> [.., out]. @throws TypeError for a bias, which it does not take */
export function linear(x: Tensor, weight: Tensor, ...none: never[]): Tensor {
  checkNoMore('linear', none, 'add(linear(x, weight), bias) adds a bias');
  checkTensor('linear: x', x);
  checkTensor('linear: weight', weight);
  return matmul(x, weight, { transposeB: true });
}
