/** @file Every kernel equals its definition on every backend. */
import {
  type Case,
  f32,
  forwardLaws,
  inGuardedMemory,
  kernelNames,
  opTable,
  raggedSize,
  rowOf,
  runCase,
  smallSize,
  toTensors,
} from '@blt-ts/autograd/testing';
import {
  contract,
  createReferenceBackend,
  type DType,
  hash32,
  release,
  run,
  scope,
  type Tensor,
  tensor,
  zeros,
} from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../support/backends.ts';
import { holdLaws, property } from '../support/property.ts';

describe.each([...backends, reference64])('on $name', (tested) => {
  holdLaws(forwardLaws(tested.backend, tested));
});

describe.each(backends)('dropout on $name', ({ backend }) => {
  test('dropout at rate 0 keeps everything, an element whose hash is 0 too', () => {
    // The hash of element 0 is mix(mix(0x9e3779b9) ^ seed), and mix(0) = 0.
    const seed = 3294826546;
    expect(hash32(seed, 0)).toBe(0);
    const [y] = runCase('dropout', { ins: [f32([2], [3, 4])], attrs: { rate: 0, seed } }, backend);
    expect([...(y.values as Float32Array)]).toEqual([3, 4]);
  });

  test('dropout at a rate whose factor is no float stays within 2 roundoffs', () => {
    const x = f32([64], new Array(64).fill(3));
    const [y] = runCase('dropout', { ins: [x], attrs: { rate: 0.1, seed: 7 } }, backend);
    const kept = [...(y.values as Float32Array)].filter((v) => v !== 0);
    expect(kept.length).toBeGreaterThan(40);
    expect(kept.length).toBeLessThan(64);
    for (const v of kept) expect(Math.abs(v - 3 / 0.9)).toBeLessThanOrEqual(2 * 2 ** -24 * (3 / 0.9));
  });
});

describe('the definition stays inside its operands', () => {
  for (const kernel of kernelNames) {
    const own = createReferenceBackend();
    property(kernel, rowOf(kernel).cases(smallSize), 20, (c) => {
      inGuardedMemory(own, () => runCase(kernel, c, own));
    });
  }
});

describe('what a kernel refuses', () => {
  const { backend } = backends[0];
  const call = (kernel: (typeof kernelNames)[number], tensors: Tensor[], attrs: object) => () =>
    scope(() => run(kernel, tensors, attrs as never));

  for (const kernel of kernelNames) {
    const row = rowOf(kernel);
    const [sample] = fc.sample(row.cases(fc.constant(2)), { numRuns: 1, seed: 1 });

    test(`${kernel}: another dtype, another number of tensors`, () =>
      scope(() => {
        const tensors = toTensors(sample.ins, backend);
        const variadic = contract[kernel].inputs[0] === '...f32';
        if (variadic) {
          expect(call(kernel, [], sample.attrs)).toThrow(`${kernel}: takes at least 1 tensors, got 0`);
        } else {
          const count = tensors.length;
          expect(call(kernel, [...tensors, tensors[0]], sample.attrs)).toThrow(
            `${kernel}: takes ${count} tensors, got ${count + 1}`,
          );
          expect(call(kernel, tensors.slice(1), sample.attrs)).toThrow(
            `${kernel}: takes ${count} tensors, got ${count - 1}`,
          );
        }
        if (contract[kernel].view) return;
        tensors.forEach((x, i) => {
          const other: DType = x.dtype === 'f32' ? 'i32' : 'f32';
          const wrong = tensors.map((t, at) => (at === i ? zeros(t.shape, { dtype: other, backend }) : t));
          expect(call(kernel, wrong, sample.attrs)).toThrow(
            `${kernel}: input ${i} must be ${x.dtype}, got ${other} [${x.shape.join(',')}]`,
          );
        });
      }));

    test(`${kernel}: tensors of two backends, freed tensors`, () =>
      scope(() => {
        const tensors = toTensors(sample.ins, backend);
        const gone = toTensors(sample.ins, backend);
        for (const x of gone) release(x);
        expect(call(kernel, gone, sample.attrs)).toThrow('was freed when the scope that made it ended');
        if (tensors.length > 1) {
          const [elsewhere] = toTensors(sample.ins.slice(-1), reference64.backend);
          expect(call(kernel, [...tensors.slice(0, -1), elsewhere], sample.attrs)).toThrow(
            `${kernel}: inputs live on different backends, reference and reference64; make them on one`,
          );
        }
      }));

    const refusals = row.refusals.filter((r) => !r.byOperation);
    if (refusals.length > 0) {
      test(`${kernel}: ${refusals.length} kinds of wrong shapes and attributes, each by its own sentence`, () => {
        for (const { ins, attrs, message, error: kind = 'ShapeError' } of refusals) {
          scope(() => {
            let said = 'nothing was thrown';
            try {
              run(kernel, toTensors(ins, backend), attrs);
            } catch (error) {
              said = (error as Error).message;
              expect((error as Error).name).toBe(kind);
            }
            expect(said).toBe(message);
          });
        }
      });
    }
  }
});

describe.each(backends)('NaN, infinities, signed zero and subnormals on $name', ({ backend, roundoff }) => {
  const special = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    -0,
    2 ** -149,
    -(2 ** -130),
    3.4e38,
    -3.4e38,
    1,
  ];

  const evaluate = (kernel: (typeof kernelNames)[number], ins: (readonly number[])[], attrs: object = {}) =>
    scope(() => [
      ...run(
        kernel,
        ins.map((x) => tensor(x, [x.length], { backend })),
        attrs as never,
      )[0].readSync(),
    ]);

  /** The value in 64 bits stored in 32; one that is subnormal may be flushed to 0. */
  const close = (got: number, want: number, count: number, what: string) => {
    const stored = Math.fround(want);
    const fine =
      Object.is(got, stored) ||
      got === stored ||
      (Number.isFinite(stored) && Math.abs(got - want) <= count * roundoff * Math.abs(want) + 2 ** -126);
    if (!fine) throw new Error(`${what}: ${got}, not ${stored}`);
  };

  const unary = {
    neg: (x: number) => -x,
    exp: Math.exp,
    log: Math.log,
    sqrt: Math.sqrt,
    reciprocal: (x: number) => 1 / x,
    tanh: Math.tanh,
    sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
    abs: Math.abs,
    sign: Math.sign,
  };
  test.each(Object.entries(unary))('%s', (kernel, f) => {
    const xs = kernel === 'log' || kernel === 'sqrt' ? special.filter((x) => !(x < 0)).concat(-1) : special;
    evaluate(kernel as keyof typeof unary, [xs]).forEach((y, i) => {
      const x = Math.fround(xs[i]);
      // The logarithm or reciprocal of a subnormal may see 0.
      if (Math.abs(x) < 2 ** -126 && x !== 0 && (kernel === 'log' || kernel === 'reciprocal' || kernel === 'sign'))
        return;
      close(y, f(x), 4, `${kernel}(${xs[i]})`);
    });
  });
  test('sin and cos of infinities and NaN are NaN, of 0 are 0 and 1', () => {
    expect(evaluate('sin', [[Number.NaN, Number.POSITIVE_INFINITY, 0]])).toEqual([Number.NaN, Number.NaN, 0]);
    expect(evaluate('cos', [[Number.NaN, Number.NEGATIVE_INFINITY, 0]])).toEqual([Number.NaN, Number.NaN, 1]);
  });

  const binary = {
    add: (a: number, b: number) => a + b,
    sub: (a: number, b: number) => a - b,
    mul: (a: number, b: number) => a * b,
    div: (a: number, b: number) => a / b,
    maximum: (a: number, b: number) => Math.max(a, b),
    minimum: (a: number, b: number) => Math.min(a, b),
    greater: (a: number, b: number) => Number(a > b),
    equal: (a: number, b: number) => Number(a === b),
    notEqual: (a: number, b: number) => Number(a !== b),
  };
  test.each(Object.entries(binary))('%s', (kernel, f) => {
    const left = special.flatMap((a) => special.map(() => a));
    const right = special.flatMap(() => special);
    evaluate(kernel as keyof typeof binary, [left, right]).forEach((y, i) => {
      const [a, b] = [Math.fround(left[i]), Math.fround(right[i])];
      if (kernel === 'div' && Math.abs(b) < 2 ** -126 && b !== 0) return;
      close(y, f(a, b), 1, `${kernel}(${left[i]}, ${right[i]})`);
    });
  });

  test('of 0 and -0 the larger is 0 and the smaller -0, in either order', () => {
    const zeros = [
      [0, -0],
      [-0, 0],
    ];
    expect(evaluate('maximum', zeros)).toEqual([0, 0]);
    expect(evaluate('minimum', zeros)).toEqual([-0, -0]);
  });

  test('where takes a for every condition but 0 and -0, NaN too', () => {
    const one = special.map(() => 1);
    const two = special.map(() => 2);
    expect(evaluate('where', [special, one, two])).toEqual([1, 1, 1, 2, 2, 1, 1, 1, 1, 1]);
  });

  test('a NaN in a row makes its sum, max and softmax NaN, and no other row', () => {
    scope(() => {
      const x = tensor([1, Number.NaN, 2, 3, 4, 5], [2, 3], { backend });
      for (const kernel of ['sum', 'max'] as const) {
        const [first, second] = run(kernel, [x], { axes: [1] })[0].readSync();
        expect(first).toBe(Number.NaN);
        expect(second).toBe(kernel === 'sum' ? 12 : 5);
      }
      for (const kernel of ['softmax', 'logSoftmax'] as const) {
        const y = [...run(kernel, [x], {})[0].readSync()];
        expect(y.map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
      }
    });
  });

  test('softmax gives 0 to -Infinity and does not overflow', () => {
    scope(() => {
      const x = tensor([Number.NEGATIVE_INFINITY, 0, 0, 3e38, 3e38, -3e38, 1000, 0, 0], [3, 3], { backend });
      expect([...run('softmax', [x], {})[0].readSync()]).toEqual([0, 0.5, 0.5, 0.5, 0.5, 0, 1, 0, 0]);
      const targets = tensor(Int32Array.of(1, 0, 0), [3], { backend });
      const loss = run('crossEntropy', [x, targets], {})[0].readSync();
      expect([...loss].map((v) => Math.fround(v))).toEqual([Math.log(2), Math.log(2), 0].map(Math.fround));
    });
  });

  test('the maximum of nothing is -Infinity, the sum of nothing 0', () => {
    scope(() => {
      const none = tensor([], [2, 0], { backend });
      expect([...run('max', [none], { axes: [1] })[0].readSync()]).toEqual([
        Number.NEGATIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
      ]);
      expect([...run('sum', [none], { axes: [1] })[0].readSync()]).toEqual([0, 0]);
    });
  });
});

test('the backends of the list are different ones: three ways to round a product and a sum', () => {
  const descriptions = backends.map(({ backend }) => backend.description);
  expect(new Set(descriptions).size).toBe(backends.length);
  expect(descriptions[0]).toContain('plain TypeScript loops');
  expect(descriptions[1]).toContain(process.env.BLT_NO_FMA === '1' ? 'rounded separately' : 'fused multiply-add');
  expect(descriptions[2]).toContain('the same bits on every machine');
});

test('the table has a row for every kernel and no other', () => {
  expect(Object.keys(opTable).sort()).toEqual([...kernelNames].sort());
});

test('generated cases are not vacuous: most have elements, most elements are not 0', () => {
  for (const kernel of kernelNames) {
    const cases: Case<typeof kernel>[] = fc.sample(rowOf(kernel).cases(raggedSize), { numRuns: 200, seed: 1 });
    const filled = cases.filter(({ ins }) => ins[0].values.length > 1);
    expect(filled.length, `${kernel}: cases with at least 2 elements`).toBeGreaterThan(80);
    const elements = filled.flatMap(({ ins }) => ins[0].values);
    const zero = elements.filter((v) => v === 0).length / elements.length;
    expect(zero, `${kernel}: share of zeros`).toBeLessThan(kernel === 'where' ? 0.6 : 0.2);
  }
});
