import { matmul, mul, rmsNorm, sin, sum, swiGlu, valueAndGrad } from '@blt-ts/autograd';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';

const ROWS = 64;
const WIDTH = 32;

// Results of rmsNorm and swiGlu are not kept for later rules, where memory is short: they are computed again.
describe.each(backends)('results that cost little, on $name', ({ backend }) => {
  const fill = (shape: number[], step: number): Tensor =>
    tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * step + step)),
      shape,
      { backend },
    );
  const params = () => ({ x: fill([ROWS, WIDTH], 0.7), w: fill([WIDTH], 0.3), m: fill([WIDTH, WIDTH], 1.1) });
  type Params = ReturnType<typeof params>;
  /** Two readers of the norm, and a gate whose input is a result of that kind itself. */
  const f = ({ x, w, m }: Params, inScope: <R>(g: () => R) => R) => {
    const y = inScope(() => {
      const n = rmsNorm(x, w);
      return matmul(swiGlu(swiGlu(n, sin(n)), n), m);
    });
    return sum(mul(y, y));
  };

  test('give the same gradients, bit for bit, kept or computed again', () => {
    scope(() => {
      const p = params();
      const kept = valueAndGrad((q: Params) => f(q, (g) => g()))(p).grads;
      const again = valueAndGrad((q: Params) => f(q, scope), { rematAboveBytes: 0 })(p).grads;
      for (const key of ['x', 'w', 'm'] as const) expect(again[key].readSync()).toEqual(kept[key].readSync());
    });
  });

  test('are kept up to rematAboveBytes, else not in memory at the end of the forward pass, and never in the end', () => {
    const before = backend.bytesInUse;
    scope(() => {
      const p = params();
      const start = backend.bytesInUse;
      const forward = (rematAboveBytes: number): number => {
        let made = 0;
        scope(() => {
          valueAndGrad(
            ({ x, w, m }: Params) => {
              const y = scope(() => matmul(rmsNorm(x, w), m));
              made = backend.bytesInUse - start;
              return sum(y);
            },
            { rematAboveBytes },
          )(p);
        });
        return made;
      };
      const result = ROWS * WIDTH * 4;
      expect(forward(0)).toBe(result);
      expect(forward(start + 2 * result)).toBe(2 * result);
    });
    expect(backend.bytesInUse).toBe(before);
  });
});
