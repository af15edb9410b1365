/** @file Gradients on their way to the optimiser: by parameter name, summed over batches, rows of tables each once, clipped. */
import { add, affine, type Cotangent, div, minimum, RowSparse, sqrt, sumSquares } from '@blt-ts/autograd';
import {
  checkIds,
  checkTensor,
  describe,
  donating,
  forEachTensor,
  formatShape,
  isPinned,
  release,
  sameShape,
  scope,
  Tensor,
} from '@blt-ts/tensor';

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
    if (node instanceof Tensor) yield [path, node];
    else {
      for (const [key, child] of Object.entries(node)) {
        yield* gradientLeaves(child, path === '' ? key : `${path}.${key}`);
      }
    }
  }
}

/** Gradients as an optimiser takes them: by the name of the parameter, or the tree that `valueAndGrad` gives. */
export type Gradients = ReadonlyMap<string, Gradient> | object;

/**
 * Gradients by the name of the parameter, each row of a table once. A map is taken as it is.
 * @throws TypeError for what is neither a map nor a tree
 */
export function namedGradients(op: string, gradients: Gradients): ReadonlyMap<string, Gradient> {
  if (gradients instanceof Map) return gradients;
  if (typeof gradients !== 'object' || gradients === null || gradients instanceof Promise) {
    throw new TypeError(
      `${op}: gradients are the tree that valueAndGrad gives, or a Map from names to gradients, got ${describe(gradients)}`,
    );
  }
  return coalesce(new Map(gradientLeaves(gradients)));
}

/** @throws TypeError, Error unless `x` is a tensor of floats that was not freed, on the backend of its parameter */
function checkUsable(what: string, x: Tensor, { backend }: Tensor): void {
  checkTensor(what, x);
  if (x.dtype !== 'f32') throw new TypeError(`${what} must be f32, got ${x.dtype}`);
  if (x.freed) throw new Error(`${what} was freed before the step, which needs it`);
  if (x.backend === backend) return;
  throw new Error(`${what} lives on ${x.backend.name}, the parameter on ${backend.name}; make them on one backend`);
}

/**
 * Checks an update before anything is changed.
 * @throws Error, TypeError, RangeError for a scale that is no scalar, or naming the parameter that was freed, or whose gradient is missing, no
 *   gradient, freed, on another backend, of another shape or, on backends whose values can be read at once, not finite
 */
export function checkGradients(
  op: string,
  params: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, Gradient>,
  scale: Tensor,
): void {
  checkTensor(`${op}: scale`, scale);
  if (scale.rank !== 0) throw new RangeError(`${op}: scale must be a scalar, got shape ${formatShape(scale.shape)}`);
  for (const [name, p] of params) {
    checkUsable(`${op}: the parameter ${name}`, p, p);
    checkUsable(`${op}: scale`, scale, p);
    const g: unknown = gradients.get(name);
    if (g === undefined) throw new Error(`${op}: no gradient for parameter ${name}`);
    if (g instanceof RowSparse) throw new TypeError(`${op}: the gradient of ${name} is a RowSparse; coalesce it first`);
    const sparse = typeof g === 'object' && g !== null && 'ids' in g && 'rows' in g;
    const { ids, rows } = (sparse ? g : { ids: undefined, rows: g }) as { ids?: Int32Array; rows: Tensor };
    checkUsable(`${op}: the gradient of ${name}`, rows, p);
    const shape = ids ? [ids.length, ...p.shape.slice(1)] : p.shape;
    if (formatShape(rows.shape) !== formatShape(shape)) {
      throw new RangeError(
        `${op}: the gradient of ${name} has shape ${formatShape(rows.shape)}, it must have ${formatShape(shape)}`,
      );
    }
    if (ids) checkIds(`${op}: ${name}`, ids, p.shape[0]);
  }
  if (!scale.backend.synchronous) return;
  const value = scale.item();
  for (const [name, g] of gradients) {
    const values = 'ids' in g ? g.rows : g;
    if (value > 0 && summedBy.get(scale)?.has(values)) continue;
    const squares = scope(() => sumSquares(values).item());
    if (!Number.isFinite(squares)) {
      throw new RangeError(`${op}: the gradient of ${name} is not finite (the sum of its squares is ${squares})`);
    }
  }
  if (!Number.isFinite(value)) throw new RangeError(`${op}: the scale of all gradients is ${value}`);
}

/** Frees gradients that an update has used, but for those that somebody keeps. */
export function consumeGradients(op: string, gradients: Gradients): void {
  forEachTensor(gradients, (g) => {
    if (!isPinned(g))
      release(g, `by the update of ${op}, which consumes the gradients; \`keep\` those to be read later`);
  });
}

/**
 * The sum of two sets of gradients of the same parameters (gradient accumulation), as a flat map. Each is a tree that `valueAndGrad` gave, or
 * a map from names to gradients.
 * @throws Error naming a parameter that has a gradient in one of them alone; RangeError for two of different shapes
 */
export function addGradients(a: object, b: object): Map<string, Cotangent> {
  const [x, y] = [a, b].map((gradients) => (gradients instanceof Map ? gradients : new Map(gradientLeaves(gradients))));
  return sumsOf('addGradients', x, y, add);
}

/** `addGradients` that writes over the dense gradients of `a`, and frees what the result does not hold. */
export function accumulate(a: Map<string, Cotangent>, b: Map<string, Cotangent>): Map<string, Cotangent> {
  return scope(() => {
    const sums = sumsOf('accumulate', a, b, (x, y) => donating([x], () => add(x, y)));
    releaseBut(sums, [a, b]);
    return sums;
  });
}

/** Frees the tensors in `values`, except those that are in `kept` too. */
export function releaseBut(kept: unknown, values: unknown): void {
  const alive = new Set<Tensor>();
  forEachTensor(kept, (t) => alive.add(t));
  forEachTensor(values, (t) => {
    if (!alive.has(t)) release(t);
  });
}

function sumsOf(
  op: string,
  a: ReadonlyMap<string, Cotangent>,
  b: ReadonlyMap<string, Cotangent>,
  sum: (x: Tensor, y: Tensor) => Tensor,
): Map<string, Cotangent> {
  const dense = (c: Cotangent) => (c instanceof RowSparse ? c.toDense() : c);
  const lone = [...a.keys(), ...b.keys()].find((name) => !a.has(name) || !b.has(name));
  if (lone !== undefined) throw new Error(`${op}: ${lone} has a gradient in one of the two and none in the other`);
  return new Map(
    [...a].map(([name, x]) => {
      const y = b.get(name)!;
      if (!sameShape(x.shape, y.shape)) {
        const shapes = `${formatShape(x.shape)} and ${formatShape(y.shape)}`;
        throw new RangeError(`${op}: the gradients of ${name} have the shapes ${shapes}; they must have one`);
      }
      return [name, x instanceof RowSparse && y instanceof RowSparse ? x.plus(y) : sum(dense(x), dense(y))] as const;
    }),
  );
}

/**
 * Global norm of all gradients and the factor that brings it down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)).
 * Both are scalars; nothing is read back. Hand the factor to the optimiser: `step(grads, lr, { scale: factor })`.
 * @throws RangeError for a `maxNorm` that is no number above 0, or without any gradient
 * @see Pascanu et al. 2013; torch.nn.utils.clip_grad_norm_
 */
export function clipFactor(gradients: Gradients, maxNorm: number, gradientScale = 1): { norm: Tensor; factor: Tensor } {
  if (!(maxNorm > 0)) throw new RangeError(`clipFactor: maxNorm must be above 0, got ${maxNorm}`);
  return scope(() => {
    let total: Tensor | null = null;
    const summed = new WeakSet<Tensor>();
    for (const g of namedGradients('clipFactor', gradients).values()) {
      const values = 'ids' in g ? g.rows : g;
      const squares = sumSquares(values);
      total = total ? add(total, squares) : squares;
      summed.add(values);
    }
    if (!total) throw new RangeError('clipFactor: there are no gradients, so they have no norm');
    const norm = affine(sqrt(total), gradientScale);
    const factor = affine(minimum(div(maxNorm, affine(norm, 1, 1e-6)), 1), gradientScale);
    summedBy.set(factor, summed);
    return { norm, factor };
  });
}

/**
 * The values that a factor of `clipFactor` was summed over. It is NaN if one of them is NaN, and 0 if one is infinite. So a factor above 0 proves
 * that they are finite.
 */
const summedBy = new WeakMap<Tensor, WeakSet<Tensor>>();
