/** @file Gradients on their way to the optimiser: by parameter name, summed over batches, rows of tables each once, clipped. */
import { add, affine, type Cotangent, div, minimum, RowSparse, sqrt, sumSquares } from '@blt-ts/autograd';
import { scope, type Tensor } from '@blt-ts/tensor';

/** A gradient as the optimiser uses it: dense, or unique rows of a table. */
export type Gradient = Tensor | { readonly ids: Int32Array; readonly rows: Tensor };

/** Dense gradients as they are; row-sparse ones with each touched row once. */
export function coalesce(gradients: ReadonlyMap<string, Cotangent>): Map<string, Gradient> {
  return new Map([...gradients].map(([name, g]) => [name, g instanceof RowSparse ? g.coalesce() : g] as const));
}

/** Name and gradient of every parameter in a tree of gradients. */
export function* gradientLeaves(node: unknown, path = ''): Generator<[name: string, gradient: Cotangent]> {
  if (node instanceof RowSparse) yield [path, node];
  else if (node !== null && typeof node === 'object') {
    if ('storage' in node) yield [path, node as Tensor];
    else {
      for (const [key, child] of Object.entries(node)) {
        yield* gradientLeaves(child, path === '' ? key : `${path}.${key}`);
      }
    }
  }
}

/** The sum of two trees of gradients of the same parameters (gradient accumulation), as a flat map. */
export function addGradients(a: Map<string, Cotangent>, b: Map<string, Cotangent>): Map<string, Cotangent> {
  const dense = (c: Cotangent) => (c instanceof RowSparse ? c.toDense() : c);
  return new Map(
    [...a].map(([name, x]) => {
      const y = b.get(name)!;
      return [name, x instanceof RowSparse && y instanceof RowSparse ? x.plus(y) : add(dense(x), dense(y))] as const;
    }),
  );
}

/**
 * Global norm of all gradients and the factor that brings it down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)).
 * Both are scalars; nothing is read back. @see Pascanu et al. 2013; torch.nn.utils.clip_grad_norm_
 */
export function clipFactor(
  gradients: ReadonlyMap<string, Gradient>,
  maxNorm: number,
  gradientScale = 1,
): { norm: Tensor; factor: Tensor } {
  return scope(() => {
    let total: Tensor | null = null;
    for (const g of gradients.values()) {
      const squares = sumSquares('ids' in g ? g.rows : g);
      total = total ? add(total, squares) : squares;
    }
    const norm = affine(sqrt(total!), gradientScale);
    const factor = affine(minimum(div(maxNorm, affine(norm, 1, 1e-6)), 1), gradientScale);
    finiteScales.add(factor);
    return { norm, factor };
  });
}

/** Factors made by `clipFactor`. Each depends on every gradient: it is NaN if one is NaN, and 0 if one is infinite. */
const finiteScales = new WeakSet<Tensor>();

/** True if the value of `scale` proves that all gradients are finite. */
export const provesFinite = (scale: Tensor, value: number): boolean => finiteScales.has(scale) && value > 0;
