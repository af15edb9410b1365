/** @file Products of any layout and size, at the edges of panels and pieces. */

import { noise, runOn } from '@blt-ts/autograd/testing';
import { counterUniform, createWasmBackend } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import * as args from '../../../../packages/tensor/src/wasm/arguments/matmul.ts';
import { WasmRuntime } from '../../../../packages/tensor/src/wasm/runtime.ts';

const backends = [{ wide: false }, { wide: true }, { deterministic: true }].map(createWasmBackend);
const forms = [
  { form: 'NN', transposeA: false, transposeB: false },
  { form: 'NT', transposeA: false, transposeB: true },
  { form: 'TN', transposeA: true, transposeB: false },
  { form: 'TT', transposeA: true, transposeB: true },
];

/** Every element of y against the 64-bit sum, within K + 2 roundoffs of sum |a b|. */
function expectProduct(
  y: ArrayLike<number>,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  [M, N, K]: readonly [number, number, number],
  at: { a(i: number, k: number): number; b(k: number, j: number): number; y(i: number, j: number): number },
  start: (i: number, j: number) => number = () => 0,
): void {
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      let sum = start(i, j);
      let size = Math.abs(sum);
      for (let k = 0; k < K; k++) {
        const product = a[at.a(i, k)] * b[at.b(k, j)];
        sum += product;
        size += Math.abs(product);
      }
      if (!(Math.abs(y[at.y(i, j)] - sum) <= (K + 2) * 2 ** -24 * size)) {
        expect.fail(`${M}x${N}x${K}: y[${i},${j}] is ${y[at.y(i, j)]}, expected ${sum}`);
      }
    }
  }
}

const contiguous = (transposeA: boolean, transposeB: boolean, [M, N, K]: readonly [number, number, number]) => ({
  a: (i: number, k: number) => (transposeA ? k * M + i : i * K + k),
  b: (k: number, j: number) => (transposeB ? j * K + k : k * N + j),
  y: (i: number, j: number) => i * N + j,
});

describe.each(forms)('matmul $form', ({ transposeA, transposeB }) => {
  const check = (M: number, N: number, K: number) => {
    const a = noise(...(transposeA ? [K, M] : [M, K]));
    const b = noise(...(transposeB ? [N, K] : [K, N]));
    for (const backend of backends) {
      const [y] = runOn(backend, 'matmul', [a, b], { transposeA, transposeB });
      expect(y.length).toBe(M * N);
      expectProduct(y, a.data, b.data, [M, N, K], contiguous(transposeA, transposeB, [M, N, K]));
    }
  };

  test('is the sum of products for every size from 1 to 17', () => {
    for (let M = 1; M <= 17; M++) for (let N = 1; N <= 17; N++) for (let K = 1; K <= 17; K++) check(M, N, K);
  });

  test.each([
    [130, 70, 385],
    [20, 520, 33],
    [257, 9, 800],
    [9, 1030, 12],
    [3, 600, 130],
    [300, 1, 50],
    [1, 300, 1],
    [1, 4133, 51],
    [2, 1100, 23],
    [7, 1043, 29],
  ])('is the sum of products across blocks: %i x %i x %i', check);

  test('nothing times nothing: an empty sum is 0, an empty result has no elements', () => {
    for (const backend of backends) {
      const product = (M: number, N: number, K: number) =>
        runOn(backend, 'matmul', [noise(...(transposeA ? [K, M] : [M, K])), noise(...(transposeB ? [N, K] : [K, N]))], {
          transposeA,
          transposeB,
        })[0];
      expect([...product(3, 9, 0)]).toEqual(new Array(27).fill(0));
      expect([...product(20, 9, 0)]).toEqual(new Array(180).fill(0));
      expect(product(0, 5, 3).length).toBe(0);
      expect(product(5, 0, 3).length).toBe(0);
    }
  });

  test('a row of the result does not depend on the rows around it, bit for bit', () => {
    const [M, N, K] = [150, 40, 500];
    const a = noise(M, K);
    const b = noise(N, K);
    const [whole] = runOn(backends[0], 'matmul', [a, b], { transposeA: false, transposeB: true });
    const part = { data: (a.data as Float32Array).slice(37 * K, 91 * K), shape: [54, K] };
    const [rows] = runOn(backends[0], 'matmul', [part, b], { transposeA: false, transposeB: true });
    expect(rows).toEqual(whole.slice(37 * N, 91 * N));
  });
});

test('NaN and Infinity pass through, and only where they belong', () => {
  const a = noise(9, 20);
  const b = noise(20, 11);
  a.data[2 * 20 + 3] = Number.NaN;
  b.data[5 * 11 + 7] = Number.POSITIVE_INFINITY;
  const [y] = runOn(backends[0], 'matmul', [a, b], { transposeA: false, transposeB: false });
  y.forEach((value, at) => {
    const [i, j] = [Math.floor(at / 11), at % 11];
    if (i === 2) expect(value).toBeNaN();
    else if (j === 7) expect(Math.abs(value)).toBe(Number.POSITIVE_INFINITY);
    else expect(Number.isFinite(value)).toBe(true);
  });
});

test.each([{ wide: false }, { wide: true }])(
  'any strides, one product or several, set or added to what is there: $wide',
  ({ wide }) => {
    const runtime = new WasmRuntime({ wide });
    const pick = (stream: number, from: number, to: number) =>
      from + Math.floor(counterUniform(stream, 0) * (to - from));
    for (let round = 0; round < 150; round++) {
      const [M, N, K] = [1, 2, 3].map((s) => pick(round * 10 + s, 1, 30)) as [number, number, number];
      // Each operand is a window of a larger matrix, by rows, by columns, or every second element of it.
      const layout = (rows: number, columns: number, kind: number): [row: number, column: number] =>
        kind === 0 ? [columns + 3, 1] : kind === 1 ? [1, rows + 5] : [2 * columns + 1, 2];
      const [am, ak] = layout(M, K, pick(round * 10 + 4, 0, 3));
      const [bk, bn] = layout(K, N, pick(round * 10 + 5, 0, 3));
      const cm = N + pick(round * 10 + 6, 0, 4);
      const batches = pick(round * 10 + 7, 1, 4);
      const add = pick(round * 10 + 8, 0, 2);
      // From one matrix of a batch to the next: all of it, or nothing, for an operand that all share.
      const [aStep, bStep, cStep] = [pick(round * 10 + 9, 0, 2) * (M * am + K * ak), K * bk + N * bn, M * cm + 2];
      const sizes = [M * am + K * ak + aStep * batches, bStep * batches, cStep * batches];
      const [a, b, c] = sizes.map((n) => noise(n).data);
      const places = sizes.map((n) => runtime.heap.allocate(n * 4));
      const view = (which: number) => new Float32Array(runtime.compiled.memory.buffer, places[which], sizes[which]);
      [a, b, c].forEach((values, which) => {
        view(which).set(values);
      });
      const { ints } = runtime;
      [ints[args.a], ints[args.b], ints[args.c]] = places;
      [ints[args.M], ints[args.N], ints[args.K]] = [M, N, K];
      [ints[args.am], ints[args.ak], ints[args.bk], ints[args.bn]] = [am * 4, ak * 4, bk * 4, bn * 4];
      [ints[args.cm], ints[args.add], ints[args.batches]] = [cm * 4, add, batches];
      [ints[args.aStep], ints[args.bStep], ints[args.cStep]] = [aStep * 4, bStep * 4, cStep * 4];
      runtime.call(runtime.kernels.matmul, 0);
      const y = view(2);
      const touched = new Set<number>();
      for (let batch = 0; batch < batches; batch++) {
        const at = {
          a: (i: number, k: number) => batch * aStep + i * am + k * ak,
          b: (k: number, j: number) => batch * bStep + k * bk + j * bn,
          y: (i: number, j: number) => batch * cStep + i * cm + j,
        };
        expectProduct(y, a, b, [M, N, K], at, (i, j) => (add ? c[at.y(i, j)] : 0));
        for (let i = 0; i < M; i++) for (let j = 0; j < N; j++) touched.add(at.y(i, j));
      }
      // Between the rows of C and after them nothing is touched.
      c.forEach((value, at) => {
        if (!touched.has(at) && y[at] !== value) expect.fail(`element ${at} became ${y[at]}`);
      });
      sizes.forEach((n, which) => {
        runtime.heap.free(places[which], n * 4);
      });
    }
  },
);
