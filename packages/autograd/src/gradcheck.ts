/** @file `gradcheck`: a gradient compared with the difference quotients whose limit it is. */
import {
  type Backend,
  checkOptions,
  createReferenceBackend,
  formatShape,
  scope,
  setDefaultBackend,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';
import { valueAndGrad } from './grad.ts';
import { mul } from './ops/elementwise.ts';
import { sum } from './ops/reduce.ts';

/** Options of `gradcheck`. */
export interface GradcheckOptions {
  /** Half the distance between the two points of a difference quotient (1e-5). */
  eps?: number;
  /** Largest allowed |difference| / max(1, |quotient|): 1e-6, or with `backend` 1e-3. */
  tolerance?: number;
  /** Check what this backend computes: its kernels, in its precision. Its values must be readable at once. */
  backend?: Backend;
}

/**
 * Checks the gradient of a function against central differences: for every element x_i,
 * (L(x + eps e_i) - L(x - eps e_i)) / (2 eps) against dL/dx_i. L is the sum of the elements of the result, each times a weight of
 * its own. The quotients are always taken in 64 bits, on the reference backend. So is the gradient, unless
 * `backend` is given: by default the rules are checked, on whatever backend the inputs lie, and no kernel of that backend. With
 * `backend` the gradient is computed there, and so is L(x), which must be that of the reference too.
 * @param f from tensors to one tensor, written with the operations of this package (it is called on
 *   the 64-bit backend too: tensors it needs besides are made inside it, or given as inputs)
 * @param inputs where to check; keep them away from kinks (|x| at 0, ties of a maximum)
 * @returns the largest relative error found
 * @throws Error naming the backend, the input, the element and both numbers when the error exceeds `tolerance`
 */
export function gradcheck(
  f: (...xs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): number {
  checkOptions('gradcheck', options, ['eps', 'tolerance', 'backend']);
  const exact = createReferenceBackend({ precision: 'f64' });
  const { eps = 1e-5, backend = exact, tolerance = backend === exact ? 1e-6 : 1e-3 } = options;
  return scope(() => {
    const on = (where: Backend) => inputs.map((x) => tensor(x.readSync(), x.shape, { dtype: x.dtype, backend: where }));
    const points = on(exact);
    const weighted = (xs: readonly Tensor[]) => weightedResult(f, xs, exact);
    const tested = backend === exact ? points : on(backend);
    const loss = valueAndGrad((xs: readonly Tensor[]) => weighted(mergeInts(xs, tested)));
    // Rules may run f again, or make tensors themselves.
    const { value, grads } = withDefault(backend, () => loss(tested.filter((x) => x.dtype === 'f32')));
    let worst = 0;
    const compare = (got: number, want: number, what: string, how: string) => {
      const error = Math.abs(want - got) / Math.max(1, Math.abs(want));
      if (!(error <= tolerance)) throw new Error(`gradcheck on ${backend.name}: ${what} ${got}, ${how} ${want}`);
      worst = Math.max(worst, error);
    };
    if (backend !== exact) compare(value.item(), weighted(points).item(), 'weighted result', 'in 64 bits');
    let float = 0;
    points.forEach((x, which) => {
      if (x.dtype !== 'f32') return;
      const analytic = (grads[float++] as Tensor).readSync();
      const values = x.readSync();
      const at = (i: number, value: number): number => {
        const moved = values.slice();
        moved[i] = value;
        x.assign(moved);
        return scope(() => weighted(points).item());
      };
      for (let i = 0; i < values.length; i++) {
        const quotient = (at(i, values[i] + eps) - at(i, values[i] - eps)) / (2 * eps);
        compare(
          analytic[i],
          quotient,
          `input ${which} ${formatShape(x.shape)}, element ${i}: gradient`,
          'difference quotient',
        );
      }
      x.assign(values);
    });
    return worst;
  });
}

/** L(xs): the elements of f(xs) times 0.5 .. 1.5, no two alike, summed on the backend of xs, or on `fallback` without any. */
function weightedResult(f: (...xs: Tensor[]) => Tensor, xs: readonly Tensor[], fallback: Backend): Tensor {
  // Constants that f makes belong on the same backend.
  const backend = xs[0]?.backend ?? fallback;
  // biome-ignore lint/plugin: the parameters of one function
  const y = withDefault(backend, () => f(...xs));
  // Multiples of the golden ratio modulo 1 never repeat.
  const weights = Float64Array.from({ length: y.size }, (_, i) => 0.5 + ((i * 0.6180339887) % 1));
  return sum(mul(y, tensor(weights, y.shape, { backend })));
}

function withDefault<T>(backend: Backend, f: () => T): T {
  const previous = setDefaultBackend(backend);
  try {
    return f();
  } finally {
    setDefaultBackend(previous);
  }
}

/** The differentiated float inputs put back in order among the integer ones, which are constants. */
function mergeInts(floats: readonly Tensor[], all: readonly Tensor[]): Tensor[] {
  let next = 0;
  return all.map((x) => (x.dtype === 'f32' ? floats[next++] : x));
}
