import { createReferenceBackend, formatShape, scope, setDefaultBackend, type Tensor, tensor } from '@blt-ts/tensor';
import { valueAndGrad } from './grad.ts';
import { mul } from './ops/elementwise.ts';
import { sum } from './ops/reduce.ts';

export interface GradcheckOptions {
  /** Half the distance of the two points of the difference quotient. */
  eps?: number;
  /** Largest allowed |difference| / max(1, |quotient|). */
  tolerance?: number;
}

/**
 * Checks the gradient of a function against central differences, in 64-bit arithmetic on the reference backend:
 * for every element x_i, (L(x + eps e_i) - L(x - eps e_i)) / (2 eps) against dL/dx_i, where L weighs the elements of the
 * result with fixed numbers so that every one counts differently.
 * @param f from tensors to one tensor, written with the operations of this package (it is called on
 *   the 64-bit backend: tensors it needs besides are made inside it, or given as inputs)
 * @param inputs where to check; keep them away from kinks (|x| at 0, ties of a maximum)
 * @returns the largest relative error found
 * @throws Error naming the input, the element and both numbers when the error exceeds `tolerance`
 */
export function gradcheck(
  f: (...xs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { eps = 1e-5, tolerance = 1e-6 }: GradcheckOptions = {},
): number {
  const backend = createReferenceBackend({ precision: 'f64' });
  return scope(() => {
    const points = inputs.map((x) => tensor(x.readSync(), x.shape, { dtype: x.dtype, backend }));
    const weighted = (xs: readonly Tensor[]): Tensor => {
      // Constants that f makes belong on the 64-bit backend too.
      const previous = setDefaultBackend(backend);
      let y: Tensor;
      try {
        // biome-ignore lint/plugin: the parameters of one function
        y = f(...xs);
      } finally {
        setDefaultBackend(previous);
      }
      // 0.5 .. 1.5, no two alike
      const weights = Float64Array.from({ length: y.size }, (_, i) => 0.5 + ((i * 0.6180339887) % 1));
      return sum(mul(y, tensor(weights, y.shape, { backend })));
    };
    const { grads } = valueAndGrad((xs: readonly Tensor[]) => weighted(mergeInts(xs, points)))(
      points.filter((x) => x.dtype === 'f32'),
    );
    let worst = 0;
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
        const error = Math.abs(quotient - analytic[i]) / Math.max(1, Math.abs(quotient));
        if (!(error <= tolerance)) {
          throw new Error(
            `gradcheck: input ${which} ${formatShape(x.shape)}, element ${i}: gradient ${analytic[i]}, difference quotient ${quotient}`,
          );
        }
        worst = Math.max(worst, error);
      }
      x.assign(values);
    });
    return worst;
  });
}

/** The differentiated float inputs put back in order among the integer ones, which are constants. */
function mergeInts(floats: readonly Tensor[], all: readonly Tensor[]): Tensor[] {
  let next = 0;
  return all.map((x) => (x.dtype === 'f32' ? floats[next++] : x));
}
