/** @file Products with the Jacobian matrix of a function, without the matrix: `vjp` from the left, `jvp` from the right. */
import { formatShape, ShapeError, sameShape, scope, type Tensor, zeros } from '@blt-ts/tensor';
import { grad, valueAndGrad } from './grad.ts';
import { add, mul } from './ops/elementwise.ts';
import { sum } from './ops/reduce.ts';
import { reshape } from './ops/shape.ts';
import { leaves, mapTree, type Tree, type TreeOf, treeMap } from './tree.ts';

/**
 * The sum over all leaves of sum(a * b): the dot product of two trees of one form.
 * @throws TypeError or ShapeError naming a leaf that only one tree has, or that has another shape in the other
 */
export function treeDot(a: Tree, b: Tree): Tensor {
  const names = leaves(a).map(([name]) => name);
  const terms: Tensor[] = [];
  treeMap(
    (x, y) => {
      if (!sameShape(x.shape, y.shape)) {
        const [one, other] = [formatShape(x.shape), formatShape(y.shape)];
        throw new ShapeError(`tensor "${names[terms.length]}" has shape ${one} in one tree and ${other} in the other`);
      }
      terms.push(sum(mul(x, y)));
    },
    a,
    b,
  );
  if (terms.length === 0) throw new TypeError('a tree without a tensor has no dot product');
  return terms.reduce((x, y) => add(x, y));
}

/**
 * Vector-Jacobian product: the value y = f(x), and v^T J with J[i,j] = dy[i] / dx[j]. One pass forward and one back (reverse mode).
 * With v of ones for one number it is the gradient.
 * @param f from a tree of tensors to a tree of tensors   @param v a tree of the form and shapes of f(x)
 * @returns `value`, of the form of f(x), and `grads`, of the form of x
 * @throws TypeError or ShapeError unless v has the form and shapes of f(x)
 * @see Griewank & Walther 2008, section 3.2; `torch.autograd.functional.vjp`
 */
export function vjp<X extends Tree, Y extends Tree>(
  f: (x: X) => Y,
  x: X,
  v: TreeOf<Y, Tensor>,
): { value: Y; grads: TreeOf<X, Tensor> } {
  return scope(() => {
    const { aux, grads } = valueAndGrad((p: X) => {
      const y = f(p);
      return { loss: treeDot(y, v as Tree), aux: y };
    })(x);
    return { value: aux, grads };
  });
}

/**
 * Jacobian-vector product: the value y = f(x), and J v with J[i,j] = dy[i] / dx[j], the derivative of f along v.
 * It is made of two vector-Jacobian products: u^T J is linear in u, so its gradient with respect to u, weighted with v, is J v.
 * This costs about three evaluations of f and one backward pass over a backward pass, and works for every operation that can be
 * differentiated twice.
 * @param f from a tree of tensors to a tree of tensors   @param v a tree of the form and shapes of x
 * @returns `value` and `tangent`, both of the form of f(x)
 * @throws TypeError or ShapeError unless v has the form and shapes of x
 * @see `jax.jvp`; the double-vjp trick: Townsend 2017, "A new trick for calculating Jacobian vector products"
 */
export function jvp<X extends Tree, Y extends Tree>(
  f: (x: X) => Y,
  x: X,
  v: TreeOf<X, Tensor>,
): { value: Y; tangent: TreeOf<Y, Tensor> } {
  return scope(() => {
    // New tensors, because f may hand on what it was given.
    const value = mapTree(f(x), (y) => reshape(y, y.shape)) as unknown as Y;
    const u = mapTree(value, (y) => zeros(y.shape, { backend: y.backend })) as Tree as TreeOf<Y, Tensor> & Tree;
    const tangent = grad((w: TreeOf<Y, Tensor> & Tree) => {
      const { grads } = vjp(f, x, w as TreeOf<Y, Tensor>);
      return treeDot(grads as Tree, v as Tree);
    })(u);
    return { value, tangent: tangent as unknown as TreeOf<Y, Tensor> };
  });
}

/**
 * Hessian-vector product: H v with H[i,j] = d^2 f / dx[i] dx[j], as the gradient of (gradient of f) . v, without the matrix.
 * @param f from a tree of tensors to one number   @param v a tree of the form and shapes of x
 * @see Pearlmutter 1994, eq. 3, in reverse mode twice
 */
export function hvp<X extends Tree>(f: (x: X) => Tensor, x: X, v: TreeOf<X, Tensor>): TreeOf<X, Tensor> {
  return grad((p: X) => treeDot(grad(f)(p) as Tree, v as Tree))(x);
}
