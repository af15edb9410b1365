/** @file Matrices of derivatives: `jacobian` and `hessian`. */
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import { grad } from './grad.ts';
import { concat, reshape } from './ops/shape.ts';
import { leaves, mapTree, type Tree, type TreeOf } from './tree.ts';
import { vjp } from './vjp.ts';

/** The tree of zeros of the form of `like`, but for a one at element `i` of the leaf at `path`. */
function basis<Y extends Tree>(like: Y, path: string, i: number): TreeOf<Y, Tensor> {
  return mapTree(like, (y, own) => {
    const values = new Float32Array(y.size);
    if (own === path) values[i] = 1;
    return tensor(values, y.shape, { backend: y.backend });
  });
}

/**
 * From f to its Jacobian: for a result y and an argument x, J[i..., j...] = dy[i...] / dx[j...], of shape [...y.shape, ...x.shape].
 * For trees it is a tree of the form of f(x), with a tree of the form of x at each leaf. Row by row in reverse mode: f runs once for
 * every element of its result.
 * @see `jax.jacrev`
 */
export function jacobian<X extends Tree, Y extends Tree>(f: (x: X) => Y): (x: X) => TreeOf<Y, TreeOf<X, Tensor>> {
  return (x) =>
    scope(() => {
      const value = f(x);
      return mapTree(value, (y, path): TreeOf<X, Tensor> => {
        const rows = Array.from({ length: y.size }, (_, i) => {
          const { grads } = vjp(f, x, basis(value, path, i));
          return new Map(leaves(grads as Tree));
        });
        return mapTree(x, (p, own) => {
          const found = rows.map((row) => row.get(own)!);
          return stackOf(found, [...y.shape, ...p.shape], p);
        });
      });
    });
}

/**
 * From f, which gives one number, to its Hessian: H[i..., j...] = d^2 f / dx[i...] dx[j...], of shape [...x.shape, ...x.shape]. For
 * trees as `jacobian`. `hvp` gives products with it at the cost of a few gradients.
 * @see `jax.hessian`
 */
export const hessian = <X extends Tree>(f: (x: X) => Tensor): ((x: X) => TreeOf<X, TreeOf<X, Tensor>>) =>
  jacobian(grad(f) as unknown as (x: X) => X);

/** Tensors of one size, one after the other, under a shape. Without any: an empty tensor. */
function stackOf(rows: readonly Tensor[], shape: readonly number[], { backend }: Tensor): Tensor {
  if (rows.length === 0) return tensor(new Float32Array(0), shape, { backend });
  return reshape(concat(rows.map((row) => reshape(row, [1, row.size]))), shape);
}
