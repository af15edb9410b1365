/** @file Memory of the backward pass: each activation and each cotangent is freed once, as soon as it may be. */
import type { RowSparse } from '@blt-ts/autograd';
import {
  add,
  affine,
  concat,
  embeddingBag,
  exp,
  grad,
  greater,
  linear,
  matmul,
  mul,
  reshape,
  rmsNorm,
  sigmoid,
  sin,
  square,
  sum,
  swiGlu,
  valueAndGrad,
  where,
} from '@blt-ts/autograd';
import { memoryLaws, peakBytes } from '@blt-ts/autograd/testing';
import { createReferenceBackend, full, keep, release, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';

describe.each(backends)('a training loop on $name', ({ backend }) => {
  const fill = (shape: number[], step: number) =>
    tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * step + step)),
      shape,
      { backend },
    );

  /** The bytes in use at each product that runs in f. */
  const duringMatmuls = (f: () => void): number[] => {
    const inUse: number[] = [];
    const { run: original } = backend;
    backend.run = (kernel, ...rest) => {
      if (kernel === 'matmul') inUse.push(backend.bytesInUse);
      original.call(backend, kernel, ...rest);
    };
    try {
      f();
    } finally {
      backend.run = original;
    }
    return inUse;
  };

  test('uses as many bytes after every step from the second on, with nothing for the user to free', () => {
    const params = {
      table: fill([50, 8], 1.7),
      norm: full([8], 1, { backend }),
      gate: fill([12, 8], 0.3),
      up: fill([12, 8], 0.9),
      down: fill([8, 12], 1.1),
    };
    const moments = Object.fromEntries(
      Object.entries(params).map(([name, p]) => [name, [zeros(p.shape, { backend }), zeros(p.shape, { backend })]]),
    );
    const attrs = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.01 };
    const ids = (step: number) =>
      tensor(
        Int32Array.from({ length: 12 }, (_, i) => ((i * 7 + step) % 51) - 1),
        [4, 3],
        { backend },
      );
    const target = fill([4, 8], 0.05);

    const step = (index: number): number =>
      scope(() => {
        const { value, grads } = valueAndGrad(
          (p: typeof params) => {
            const x = rmsNorm(embeddingBag(p.table, ids(index)), p.norm);
            const y = add(x, linear(swiGlu(linear(x, p.gate), linear(x, p.up)), p.down));
            return sum(square(add(y, affine(target, -1))));
          },
          { sparse: true },
        )(params);
        const scale = full([], 1, { backend });
        for (const [name, p] of Object.entries(params)) {
          const g = grads[name as keyof typeof params];
          const [m, v] = moments[name];
          if ('parts' in g) {
            const { ids: rows, rows: values } = (g as RowSparse).coalesce();
            run('adamwRows', [p, m, v, tensor(rows, undefined, { backend }), values, scale], {
              ...attrs,
              step: index,
            });
          } else run('adamw', [p, m, v, g as Tensor, scale], { ...attrs, step: index });
        }
        return value.item();
      });

    const losses: number[] = [];
    const laws = memoryLaws({ name: 'the training loop', backend, turn: (i) => losses.push(step(i)) });
    for (const law of laws) law.check();
    expect(losses.length).toBeGreaterThan(10);
    expect(losses[9]).toBeLessThan(losses[0]);
    expect(losses.every(Number.isFinite)).toBe(true);
  });

  test('without scope, the step keeps its value and gradients alone', () => {
    const x = fill([64], 0.1);
    const before = backend.bytesInUse;
    const { value, grads } = valueAndGrad((t: Tensor) => sum(exp(sin(t))))(x);
    expect(backend.bytesInUse - before).toBe(4 + 64 * 4);
    release(value);
    release(grads);
    expect(backend.bytesInUse).toBe(before);
  });

  test('a chain of 100 activations is held once: the backward pass frees each as it is used', () => {
    const size = 1000;
    const bytes = size * 4;
    const depth = 100;
    const x = fill([size], 0.01);
    const before = backend.bytesInUse;
    const most = peakBytes(backend, () =>
      scope(() => {
        grad((t: Tensor) => {
          let y = t;
          for (let i = 0; i < depth; i++) y = sin(y);
          return sum(y);
        })(x);
      }),
    );
    // Forward keeps the 100 activations. Backward needs a few cotangents and temporaries on top, not another 100.
    expect(most).toBeGreaterThanOrEqual(depth * bytes);
    expect(most).toBeLessThan((depth + 6) * bytes);
    expect(backend.bytesInUse).toBe(before);
  });

  test('a residual chain too, where each activation is used twice', () => {
    const size = 1000;
    const x = fill([size], 0.01);
    const before = backend.bytesInUse;
    const most = peakBytes(backend, () =>
      scope(() => {
        grad((t: Tensor) => {
          let y = t;
          for (let i = 0; i < 50; i++) y = add(y, sin(y));
          return sum(y);
        })(x);
      }),
    );
    expect(most).toBeLessThan((2 * 50 + 6) * size * 4);
    expect(backend.bytesInUse).toBe(before);
  });

  test('a chain of operations whose rules read nothing is held by no one, if each link is in a scope', () => {
    const size = 1000;
    const x = fill([size], 0.01);
    const most = peakBytes(backend, () =>
      scope(() => {
        grad((t: Tensor) => {
          let y = t;
          for (let i = 0; i < 50; i++) {
            const before = y;
            y = scope(() => affine(add(before, affine(before, 0.5)), 0.9));
          }
          return sum(y);
        })(x);
      }),
    );
    // Each scope returns one tensor: those 50 are held, the 100 between them are not.
    expect(most).toBeLessThan((50 + 6) * size * 4);
  });

  test('a value that no rule reads is not kept, though the rule of its operation reads another', () => {
    const size = 1000;
    const x = fill([size], 0.01);
    for (const f of [sin, (y: Tensor) => where(greater(y, 0), y, 0.5)]) {
      const most = peakBytes(backend, () =>
        scope(() => {
          grad((t: Tensor) => {
            let y = t;
            for (let i = 0; i < 50; i++) {
              const before = y;
              y = scope(() => affine(f(affine(before, 0.5, 2)), 0.9));
            }
            return sum(y);
          })(x);
        }),
      );
      // The result of each scope, and the input of sin, or the condition of where.
      expect(most).toBeLessThan((2 * 50 + 8) * size * 4);
    }
  });

  test('an activation is freed by the rule that reads it last, before the rule of what made it', () => {
    const [m, k] = [400, 3];
    const [x, w] = [fill([m, k], 0.01), fill([k, k], 0.2)];
    let value: Tensor | undefined;
    let seen: ArrayLike<number> = [];
    const { aux } = valueAndGrad((t: Tensor) => {
      const y = linear(x, t);
      return { loss: sum(square(y)), aux: y };
    })(w);
    seen = aux.readSync();
    const inUse = duringMatmuls(() =>
      scope(() => {
        value = grad((t: Tensor) => sum(square(linear(x, t))))(w);
        seen = Float32Array.from(seen);
      }),
    );
    // Forward there is y; while dw = g^T x is computed, g and some small things. Not y, which only the rule of `square` reads.
    expect(inUse.length).toBe(2);
    expect(inUse[1]).toBeLessThan(inUse[0] + (m * k * 4) / 2);
    expect(value?.freed).toBe(true);
    // Handed out, it stays.
    expect(seen.length).toBe(m * k);
  });

  test('matmul: an activation that ends there is free before its gradient is made, kept or computed again', () => {
    const [m, k] = [400, 8];
    const bytes = m * k * 4;
    const params = { a: fill([m, k], 0.01), b: fill([m, k], 0.02), w: fill([1, k], 0.2) };
    type Params = typeof params;
    const gated = (p: Params) =>
      sum(
        linear(
          scope(() => swiGlu(p.a, p.b)),
          p.w,
        ),
      );
    for (const rematAboveBytes of [0, 2 ** 40]) {
      const inUse = duringMatmuls(() => scope(() => void valueAndGrad(gated, { rematAboveBytes })(params)));
      // Forward, dw and d(gated rows), in which these take the place of the gated rows.
      expect(inUse.length).toBe(3);
      expect(inUse[2]).toBeLessThan(inUse[1] + bytes / 2);
    }
    // Where both factors are one tensor, or another rule has still to read it, it stays until then.
    const twice = (p: Params) => {
      const y = scope(() => sin(p.a));
      return sum(matmul(y, y, { transposeB: true }));
    };
    const later = (p: Params) => {
      const y = scope(() => swiGlu(p.a, p.b));
      return add(sum(square(y)), sum(linear(y, p.w)));
    };
    scope(() => {
      for (const f of [twice, later]) {
        const [kept, again] = [2 ** 40, 0].map((rematAboveBytes) => valueAndGrad(f, { rematAboveBytes })(params).grads);
        for (const name of ['a', 'b', 'w'] as const) expect(again[name].readSync()).toEqual(kept[name].readSync());
      }
      const expected = grad((p: Params) => {
        const y = sin(p.a);
        return sum(matmul(y, affine(y, 1), { transposeB: true }));
      })(params).a.readSync();
      grad(twice)(params)
        .a.readSync()
        .forEach((value, i) => {
          expect(Math.abs(value - expected[i])).toBeLessThan(1e-4);
        });
    });
  });

  test('what was kept survives the way back, and is not written over', () => {
    let held: Tensor | undefined;
    const [x, w] = [fill([6, 4], 0.3), fill([5, 4], 0.7)];
    const before = scope(() => linear(x, w).readSync());
    scope(() => {
      grad((t: Tensor) => {
        held = keep(linear(x, t));
        return sum(swiGlu(held, held));
      })(w);
    });
    expect(held?.readSync()).toEqual(before);
    release(held!);
  });

  test('of one gradient for two parameters, either can be released alone', () =>
    scope(() => {
      const grads = grad((p: { a: Tensor; b: Tensor }) => sum(add(p.a, p.b)))({ a: fill([3], 1), b: fill([3], 2) });
      release(grads.a);
      expect([...grads.b.readSync()]).toEqual([1, 1, 1]);
    }));

  test('swiGlu: one of its gradients takes the memory of the cotangent that ends there', () => {
    const n = 1000;
    const [a, b] = [fill([n], 0.01), fill([n], 0.02)];
    const most = peakBytes(backend, () =>
      scope(() => void grad((p: { a: Tensor; b: Tensor }) => sum(swiGlu(p.a, p.b)))({ a, b })),
    );
    // The result, the cotangent (later da) and db.
    expect(most).toBeLessThan(3 * n * 4 + 100);
    // Not that of a cotangent with another way to go.
    scope(() => {
      const grads = grad((p: { a: Tensor; b: Tensor }) => sum(add(p.a, swiGlu(p.a, p.b))))({ a, b });
      const composed = grad((p: { a: Tensor; b: Tensor }) => sum(add(p.a, mul(mul(p.a, sigmoid(p.a)), p.b))))({ a, b });
      for (const name of ['a', 'b'] as const) {
        const expected = composed[name].readSync();
        grads[name].readSync().forEach((value, i) => {
          expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
        });
      }
    });
  });

  test('activations are gone when the gradient is taken, and say so', () => {
    let kept: Tensor | undefined;
    scope(() => {
      grad((t: Tensor) => {
        kept = sin(t);
        return sum(kept);
      })(fill([3], 1));
    });
    expect(() => kept?.readSync()).toThrow(
      'tensor [3] was freed when the scope that made it ended; return it from scope(...) to keep it',
    );
  });
});

describe('gradients and scopes', () => {
  const backend = createReferenceBackend();
  const make = (...values: number[]) => tensor(values, [values.length], { backend });
  const flat = (f: () => void) => {
    const before = backend.bytesInUse;
    f();
    expect(backend.bytesInUse).toBe(before);
  };

  test('an exception inside a differentiated function frees its activations', () =>
    flat(() => {
      const x = make(1, 2);
      expect(() =>
        grad((t: Tensor) => {
          exp(t);
          throw new Error('stop');
        })(x),
      ).toThrow('stop');
      expect(backend.bytesInUse).toBe(8);
      release(x);
    }));

  test('inside a differentiated function nothing is freed that the gradient needs', () =>
    flat(() => {
      const x = make(0.5, 1);
      const g = grad((t: Tensor) => scope(() => sum(scope(() => exp(scope(() => sin(t)))))))(x);
      expect(g.readSync()[1]).toBeCloseTo(Math.exp(Math.sin(1)) * Math.cos(1), 5);
      release(x);
      release(g);
    }));

  test('gradients through reshapes of one tensor free it once', () => {
    const x = tensor([1, 2, 3, 4], [4], { backend });
    scope(() => {
      const g = grad((t: Tensor) => sum(concat([reshape(reshape(exp(t), [2, 2]), [4]), reshape(t, [4])])))(x);
      expect(g.readSync()[0]).toBeCloseTo(Math.E + 1, 5);
    });
    expect(backend.bytesInUse).toBe(16);
    release(x);
    expect(backend.bytesInUse).toBe(0);
  });
});
