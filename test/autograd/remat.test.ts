/** @file Values computed again in the backward pass: `recompute`, and cheap results once memory is short. The bits stay. */
import {
  add,
  affine,
  exp,
  grad,
  matmul,
  mul,
  neg,
  recompute,
  rmsNorm,
  sin,
  stopGradient,
  sum,
  swiGlu,
  tanh,
  valueAndGrad,
} from '@blt-ts/autograd';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';
import { firstDifference } from '../support/bits.ts';

describe.each(backends)('recompute on $name', ({ backend }) => {
  const x = (n: number) =>
    tensor(
      Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1)),
      [n],
      { backend },
    );

  test('changes neither value nor gradient, through captured parameters, inputs and shared uses', () => {
    const weights = () => ({ a: x(6), b: x(6) });
    const layer = (w: { a: Tensor; b: Tensor }, h: Tensor) => mul(tanh(mul(h, w.a)), exp(affine(mul(h, w.b), 0.1)));
    const model = (wrap: (f: () => Tensor) => Tensor) => (w: { a: Tensor; b: Tensor }) => {
      const h = sin(w.a);
      const y = wrap(() => layer(w, h));
      const z = wrap(() => layer(w, y));
      return sum(mul(mul(z, y), h));
    };
    scope(() => {
      const plain = valueAndGrad(model((f) => f()))(weights());
      const again = valueAndGrad(model(recompute))(weights());
      expect(again.value.item()).toBe(plain.value.item());
      for (const key of ['a', 'b'] as const) {
        expect(firstDifference(again.grads[key].readSync(), plain.grads[key].readSync())).toBe(null);
      }
    });
  });

  test('a result that depends on no parameter stays a constant', () => {
    scope(() => {
      const constant = x(3);
      const g = grad((w: Tensor) =>
        sum(
          mul(
            w,
            recompute(() => exp(constant)),
          ),
        ),
      )(x(3));
      expect(firstDifference(g.readSync(), exp(constant).readSync())).toBe(null);
    });
  });

  test('one cotangent for several of its inputs, which have others already', () => {
    scope(() => {
      const [a, b] = [x(3), affine(x(3), 2)];
      const of = (wrap: (f: () => Tensor) => Tensor) =>
        grad((p: { a: Tensor; b: Tensor }) => {
          const y = wrap(() => neg(add(p.a, p.b)));
          return sum(add(mul(y, 2), mul(p.a, p.a)));
        })({ a, b });
      const [plain, again] = [of((f) => f()), of(recompute)];
      for (const key of ['a', 'b'] as const) {
        expect(firstDifference(again[key].readSync(), plain[key].readSync())).toBe(null);
      }
    });
  });

  test('what it reads through stopGradient stays until it has run again', () => {
    scope(() => {
      const g = grad((p: { a: Tensor; b: Tensor }) =>
        sum(
          scope(() => {
            const y = affine(p.b, 1, 1);
            return recompute(() => mul(p.a, stopGradient(y)));
          }),
        ),
      )({ a: x(3), b: x(3) });
      expect(firstDifference(g.a.readSync(), affine(x(3), 1, 1).readSync())).toBe(null);
      expect([...g.b.readSync()]).toEqual([0, 0, 0]);
    });
  });

  test('outside a gradient it is the function itself; inside a gradient of a gradient too', () => {
    scope(() => {
      expect(recompute(() => affine(x(1), 2)).item()).toBe(affine(x(1), 2).item());
      const second = grad((w: Tensor) => sum(grad((v: Tensor) => sum(recompute(() => mul(v, mul(v, v)))))(w)));
      const got = second(tensor([1, 2], undefined, { backend })).readSync();
      expect([...got]).toEqual([6, 12]);
    });
  });

  test('keeps less memory than the activations it leaves out', () => {
    const n = 64;
    const depth = 12;
    const w = () => tensor(new Float32Array(n * n).fill(0.01), [n, n], { backend });
    const peak = (wrap: (f: () => Tensor) => Tensor): number => {
      let most = 0;
      const note = () => {
        most = Math.max(most, backend.bytesInUse);
      };
      scope(() => {
        const base = backend.bytesInUse;
        valueAndGrad((p: Tensor) => {
          let h = p;
          for (let i = 0; i < depth; i++) {
            const input = h;
            h = wrap(() => {
              const y = tanh(tanh(tanh(matmul(input, p))));
              note();
              return y;
            });
          }
          return sum(h);
        })(w());
        most -= base;
      });
      return most;
    };
    expect(peak(recompute)).toBeLessThan(0.6 * peak((f) => f()));
  });
});

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
