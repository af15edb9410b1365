/** @file Elementwise operations, each beside its rule. `g` is the incoming gradient, `y` the result. */
import { checkTensor, formatShape, full, ShapeError, sameShape, type Tensor } from '@blt-ts/tensor';
import { type Rules, reading, readingNothing } from '../rule.ts';
import { apply } from '../tape.ts';
import { sum, unbroadcast } from './reduce.ts';

/** Where a tensor is wanted, a number stands for a scalar. */
export type Operand = Tensor | number;

const scalarLike = (value: Operand, { backend }: Tensor): Tensor =>
  typeof value === 'number' ? full([], value, { backend }) : value;

function pair(a: Operand, b: Operand): [Tensor, Tensor] {
  if (typeof a !== 'number') {
    checkTensor('the first operand', a);
    return [a, scalarLike(b, a)];
  }
  if (typeof b === 'number') throw new TypeError('needs at least one tensor, got two numbers');
  checkTensor('the second operand', b);
  return [scalarLike(a, b), b];
}

// ----- one input -----------------------------------------------------------------------------------------------------

/** -x */
export const neg = (x: Tensor): Tensor => apply('neg', [x], {});
/** e^x */
export const exp = (x: Tensor): Tensor => apply('exp', [x], {});
/** ln x */
export const log = (x: Tensor): Tensor => apply('log', [x], {});
/** Square root. */
export const sqrt = (x: Tensor): Tensor => apply('sqrt', [x], {});
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply('reciprocal', [x], {});
/** sin x, x in radians */
export const sin = (x: Tensor): Tensor => apply('sin', [x], {});
/** cos x, x in radians */
export const cos = (x: Tensor): Tensor => apply('cos', [x], {});
/** tanh x */
export const tanh = (x: Tensor): Tensor => apply('tanh', [x], {});
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Tensor): Tensor => apply('sigmoid', [x], {});
/** |x|; the gradient at 0 is 0 */
export const abs = (x: Tensor): Tensor => apply('abs', [x], {});
/** -1, 0 or 1; the gradient is 0 */
export const sign = (x: Tensor): Tensor => apply('sign', [x], {});
/** scale * x + shift */
export const affine = (x: Tensor, scale: number, shift = 0): Tensor => apply('affine', [x], { scale, shift });
/** x^2 */
export const square = (x: Tensor): Tensor => mul(x, x);
/** x * sigmoid(x) */
export const silu = (x: Tensor): Tensor => mul(x, sigmoid(x));
/** max(x, 0); the gradient at 0 is 0, at NaN it is NaN */
export function relu(x: Tensor): Tensor {
  const y = maximum(x, 0);
  // 1, 0 or NaN: it does nothing to y, and takes what `maximum` gives at the tie.
  return mul(y, sign(y));
}
/**
 * Sets each element to 0 with probability `rate` and divides the others by 1 - rate, so that the mean stays.
 * The mask depends on `seed` (a u32) and the position alone. @see Srivastava et al. 2014
 */
export const dropout = (x: Tensor, rate: number, seed: number): Tensor => apply('dropout', [x], { rate, seed });

// ----- two inputs, broadcasting ---------------------------------------------------------------------------------------

/** a + b */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && typeof a !== 'number') return affine(a, 1, b);
  if (typeof a === 'number' && typeof b !== 'number') return affine(b, 1, a);
  return apply('add', pair(a, b), {});
}
/** a - b */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && typeof a !== 'number') return affine(a, 1, -b);
  if (typeof a === 'number' && typeof b !== 'number') return affine(b, -1, a);
  return apply('sub', pair(a, b), {});
}
/** a * b */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && typeof a !== 'number') return affine(a, b);
  if (typeof a === 'number' && typeof b !== 'number') return affine(b, a);
  return apply('mul', pair(a, b), {});
}
/** a / b */
export const div = (a: Operand, b: Operand): Tensor => apply('div', pair(a, b), {});
/** The larger of a and b; where they are equal the gradient is shared evenly, where one is NaN it is NaN. */
export const maximum = (a: Operand, b: Operand): Tensor => apply('maximum', pair(a, b), {});
/** The smaller of a and b; where they are equal the gradient is shared evenly, where one is NaN it is NaN. */
export const minimum = (a: Operand, b: Operand): Tensor => apply('minimum', pair(a, b), {});
/** 1 where a > b, else 0; the gradient is 0 */
export const greater = (a: Operand, b: Operand): Tensor => apply('greater', pair(a, b), {});
/** 1 where a = b, else 0; the gradient is 0 */
export const equal = (a: Operand, b: Operand): Tensor => apply('equal', pair(a, b), {});
/** a where condition is not 0, else b. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  checkTensor('where: the condition', condition);
  return apply('where', [condition, scalarLike(a, condition), scalarLike(b, condition)], {});
}

/** 1 where `a` wins over `b`, one half where they are equal, 0 where it loses, NaN where one of them is. */
function share(a: Tensor, b: Tensor): Tensor {
  const [wins, ties] = [greater(a, b), equal(a, b)];
  // Of the three one is 1, or for NaN none.
  return div(add(wins, affine(ties, 0.5)), add(add(wins, greater(b, a)), ties));
}

/** unbroadcast(g * factor), without the product where nobody asks. */
const scaled = (g: Tensor, factor: Tensor, like: Tensor, needed: boolean): Tensor | null =>
  needed ? unbroadcast(mul(g, factor), like.shape) : null;

const RESULT = { ins: [], outs: true };
const BOTH = { ins: [0, 1], outs: false };

// biome-ignore format: a table reads best aligned
export const elementwiseRules: Rules<
  | 'neg' | 'exp' | 'log' | 'sqrt' | 'reciprocal' | 'sin' | 'cos' | 'tanh' | 'sigmoid' | 'abs' | 'sign' | 'affine' | 'dropout'
  | 'add' | 'sub' | 'mul' | 'div' | 'maximum' | 'minimum' | 'greater' | 'equal' | 'where'
> = {
  neg:        readingNothing((g) => [neg(g)]),
  exp:        reading(RESULT, (g, [y]) => [mul(g, y)]),
  log:        (g, _, [x]) => [div(g, x)],
  sqrt:       reading(RESULT, (g, [y]) => [div(affine(g, 0.5), y)]),
  reciprocal: reading(RESULT, (g, [y]) => [neg(mul(g, mul(y, y)))]),
  sin:        (g, _, [x]) => [mul(g, cos(x))],
  cos:        (g, _, [x]) => [neg(mul(g, sin(x)))],
  tanh:       reading(RESULT, (g, [y]) => [mul(g, affine(mul(y, y), -1, 1))]),
  sigmoid:    reading(RESULT, (g, [y]) => [mul(g, mul(y, affine(y, -1, 1)))]),
  abs:        (g, _, [x]) => [mul(g, sign(x))],
  sign:       readingNothing(() => [null]),
  affine:     readingNothing((g, _, __, { scale }) => [affine(g, scale)]),
  dropout:    readingNothing((g, _, __, { rate, seed }) => [dropout(g, rate, seed)]),
  add:        readingNothing((g, _, [a, b]) => [unbroadcast(g, a.shape), unbroadcast(g, b.shape)]),
  sub:        readingNothing((g, _, [a, b], __, needs) => [unbroadcast(g, a.shape), needs[1] ? neg(unbroadcast(g, b.shape)) : null]),
  mul:        reading(BOTH, (g, _, [a, b], __, needs) => [scaled(g, b, a, needs[0]), scaled(g, a, b, needs[1])]),
  div:        (g, [y], [a, b], _, needs) => {
    const da = div(g, b);
    return [unbroadcast(da, a.shape), needs[1] ? unbroadcast(neg(mul(da, y)), b.shape) : null];
  },
  maximum:    (g, _, [a, b], __, needs) => [scaled(g, share(a, b), a, needs[0]), scaled(g, share(b, a), b, needs[1])],
  minimum:    (g, _, [a, b], __, needs) => [scaled(g, share(b, a), a, needs[0]), scaled(g, share(a, b), b, needs[1])],
  greater:    () => [null, null],
  equal:      () => [null, null],
  where:      (g, _, [c, a, b]) => [null, unbroadcast(where(c, g, 0), a.shape), unbroadcast(where(c, 0, g), b.shape)],
};

/** Mean of the squares of x - y, a scalar. @throws ShapeError unless both have one shape */
export function meanSquaredError(x: Tensor, y: Tensor): Tensor {
  checkTensor('meanSquaredError: x', x);
  checkTensor('meanSquaredError: y', y);
  if (!sameShape(x.shape, y.shape)) {
    throw new ShapeError(`meanSquaredError: shapes ${formatShape(x.shape)} and ${formatShape(y.shape)} differ`);
  }
  return affine(sum(square(sub(x, y))), 1 / x.size);
}
