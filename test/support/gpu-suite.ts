/** @file The laws of a GPU backend, whichever device it runs on. */

import {
  type Arr,
  f32,
  i32,
  kernelNames,
  raggedSize,
  readAll,
  rowOf,
  runCaseAsync,
  toTensors,
} from '@blt-ts/autograd/testing';
import { contract, createReferenceBackend, type KernelName, run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import type { GpuBackend } from '@blt-ts/tensor/gpu';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TestedBackend } from './backends.ts';
import { definedProperty } from './gpu-run.ts';

export interface TestedGpu extends TestedBackend {
  readonly backend: GpuBackend;
}

const reference = createReferenceBackend();

/** Numbers in [-1, 1) that repeat nothing. */
const spread = (...shape: number[]): Arr =>
  f32(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 0.618034 + 0.31) % 1) * 2 - 1),
  );

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const pair = [f32([4], [nan, 1, -inf, 5]), f32([4], [1, nan, inf, nan])];
const threeRows = f32([3, 3], [-inf, 0, 0, 3e38, 3e38, -3e38, 1000, 0, 0]);
const cases: [KernelName, Arr[], object][] = [
  ['max', [f32([4, 3], [1, nan, 2, -inf, 0, 0, -inf, -inf, -inf, 3e38, 3e38, -3e38])], { axes: [1] }],
  ['sum', [f32([2, 3], [1, nan, 2, -inf, 0, 0])], { axes: [1] }],
  ['add', pair, {}],
  ['mul', pair, {}],
  ['maximum', pair, {}],
  ['minimum', pair, {}],
  ['softmax', [threeRows], {}],
  ['crossEntropy', [threeRows, i32([1, 0, 0])], {}],
  ['max', [f32([2, 0], [])], { axes: [1] }],
  ['sum', [f32([2, 0], [])], { axes: [1] }],
  ['segmentMax', [f32([2, 1], [-inf, -inf]), i32([0, 2, 2])], {}],
];

/** Six digits, which the two ways to round agree on. */
export const shown = (values: ArrayLike<number>): number[] => Array.from(values, (x) => Number(x.toPrecision(6)));

/** NaN and infinities in the data, with the first output of the definition. */
export const specials = cases.map(([kernel, ins, attrs]) => ({
  kernel,
  ins,
  attrs,
  want: shown(scope(() => run(kernel, toTensors(ins, reference), attrs as never)[0].readSync())),
}));

export function gpuSuite(tested: TestedGpu, count: number): void {
  const { backend } = tested;

  describe(`every kernel equals its definition on ${tested.name}`, () => {
    for (const kernel of kernelNames) definedProperty(kernel, tested, raggedSize, count);
  });

  describe(`on ${tested.name}`, () => {
    // Where reductions are cut into pieces, loops pass gpu.js's own limit of 1000, and tiles have a rest.
    const large: [KernelName, Arr[], object][] = [
      ...[1024, 1025, 16384, 16385, 70001].map((n): [KernelName, Arr[], object] => ['sum', [spread(n)], { axes: [0] }]),
      ['max', [spread(40000)], { axes: [0] }],
      ['max', [spread(16385)], { axes: [0] }],
      ['sumSquares', [spread(3, 10007)], {}],
      ['variance', [spread(3, 1300)], { correction: 1 }],
      ['variance', [spread(1, 40000)], { correction: 0 }],
      ['sum', [spread(129, 5)], { axes: [0] }],
      ['max', [spread(1300, 3)], { axes: [0] }],
      ['sum', [spread(3, 1300)], { axes: [1] }],
      ['sum', [spread(4, 150, 3)], { axes: [1] }],
      ['sum', [spread(5, 4, 3, 2)], { axes: [0, 2] }],
      ['matmul', [spread(37, 1100), spread(1100, 12)], { transposeA: false, transposeB: false }],
      ['matmul', [spread(2, 3, 9, 5), spread(2, 3, 8, 5)], { transposeA: false, transposeB: true }],
      ['add', [spread(2, 1, 3, 1, 2), spread(1, 4, 1, 5, 1)], {}],
      ['transpose', [spread(2, 3, 4, 5, 6)], { perm: [4, 2, 0, 3, 1] }],
      ['softmax', [spread(2, 1500)], {}],
      ['rmsNormBackward', [spread(300, 8), spread(8), spread(300, 8)], { eps: 1e-5 }],
      ['scatterAddRows', [spread(400, 3), i32(Array.from({ length: 400 }, (_, i) => (i * 7) % 5))], { rows: 6 }],
      ['concat', [spread(2, 3), spread(2, 1), spread(2, 0), spread(2, 4), spread(2, 2)], { axis: 1 }],
    ];
    test.each(
      large.map(([kernel, ins, attrs]) => ({ kernel, shapes: ins.map((x) => `[${x.shape}]`).join(' '), ins, attrs })),
    )('long rows and many axes: $kernel of $shapes', async ({ kernel, ins, attrs }) => {
      const got = await runCaseAsync(kernel, { ins, attrs: attrs as never }, backend);
      const want = scope(() => run(kernel, toTensors(ins, reference), attrs as never).map((y) => y.readSync()));
      want.forEach((y, o) => {
        // Roundings of long sums add up like a random walk.
        const bound = 2e-5 * Math.max(...y.map(Math.abs), 1) + 1e-6 * Math.sqrt(ins[0].values.length);
        y.forEach((v, i) => {
          expect(Math.abs(got[o].values[i] - v), `element ${i}`).toBeLessThan(bound);
        });
      });
    });

    test('NaN and infinities in the data go where the definition sends them', async () => {
      for (const { kernel, ins, attrs, want } of specials) {
        const [{ values }] = await runCaseAsync(kernel, { ins, attrs: attrs as never }, backend);
        expect(shown(values), kernel).toEqual(want);
      }
    });

    test('more axes than a kernel reads are refused by name', () => {
      scope(() => {
        const x = tensor(new Float32Array(64), [2, 2, 2, 2, 2, 2], { backend });
        expect(() => run('transpose', [x], { perm: [5, 4, 3, 2, 1, 0] })).toThrow(
          'copy: 6 axes are left after merging neighbours, a gpu kernel reads 5; reshape or transpose in two steps',
        );
        expect(run('transpose', [x], { perm: [4, 5, 2, 3, 0, 1] })[0].shape).toEqual([2, 2, 2, 2, 2, 2]);
      });
    });

    test('a kernel leaves its inputs alone unless the contract says it overwrites them', async () => {
      for (const kernel of kernelNames) {
        const mutates = contract[kernel].mutates ?? [];
        for (const { ins, attrs } of fc.sample(rowOf(kernel).cases(raggedSize), { numRuns: 2, seed: 1 })) {
          const after = await readAll(() => {
            const tensors = toTensors(ins, backend);
            run(kernel, tensors, attrs);
            return tensors;
          });
          after.forEach((x, i) => {
            if (!mutates.includes(i)) {
              expect([...(x.values as Float32Array)], `${kernel}, input ${i}`).toEqual(ins[i].values.map(Math.fround));
            }
          });
        }
      }
    });

    test('work is done in the order of the calls: what was read before an update in place is what was there', async () => {
      const [before, copy, after, again] = await readAll(() => {
        const a = tensor([1, 2, 3, 4], [4], { backend });
        const b = tensor([5, 5, 5, 5], [4], { backend });
        const [doubled] = run('affine', [a], { scale: 2, shift: 0 });
        const first = { ...a, read: a.read.bind(a), shape: a.shape } as Tensor;
        const value = a.read();
        run('lerp', [a, b], { weight: 1 });
        const [tripled] = run('affine', [a], { scale: 3, shift: 0 });
        a.assign([9, 9, 9, 9]);
        return [{ ...first, read: () => value } as Tensor, doubled, tripled, a];
      });
      expect([...(before.values as Float32Array)]).toEqual([1, 2, 3, 4]);
      expect([...(copy.values as Float32Array)]).toEqual([2, 4, 6, 8]);
      expect([...(after.values as Float32Array)]).toEqual([15, 15, 15, 15]);
      expect([...(again.values as Float32Array)]).toEqual([9, 9, 9, 9]);
    });

    test('ids that are assigned anew are read anew, and tables derived from them too', async () => {
      const [first, second] = await readAll(() => {
        const x = tensor([[1], [2], [4]], undefined, { backend });
        const ids = tensor(Int32Array.of(0, 0, 1), undefined, { backend });
        const [a] = run('scatterAddRows', [x, ids], { rows: 2 });
        ids.assign([1, 1, 0]);
        const [b] = run('scatterAddRows', [x, ids], { rows: 2 });
        return [a, b];
      });
      expect([...(first.values as Float32Array)]).toEqual([3, 4]);
      expect([...(second.values as Float32Array)]).toEqual([4, 3]);
    });

    test('floats are read with await alone, whole numbers at once as well', async () => {
      const x = tensor([1.5], [1], { backend });
      const ids = tensor(Int32Array.of(3, 1), undefined, { backend });
      expect(() => x.readSync()).toThrow(
        `readSync: the values of this tensor are on the device (backend ${backend.mode}); use await tensor.read()`,
      );
      expect([...(await x.read())]).toEqual([1.5]);
      expect(ids.readSync()).toEqual(Int32Array.of(3, 1));
      expect(await ids.read()).toEqual(Int32Array.of(3, 1));
      expect(`${x}`).toBe(`Tensor(f32 [1] on ${backend.mode})`);
    });

    test('a tensor nobody wrote reads as something, one without elements as nothing', async () => {
      const storage = backend.allocate('f32', 3);
      expect((await backend.read(storage)).length).toBe(3);
      backend.free(storage);
      expect((await runCaseAsync('exp', { ins: [f32([0, 3], [])], attrs: {} }, backend))[0].values.length).toBe(0);
    });

    test('after all these nothing is left on the device', async () => {
      await backend.settled();
      const kept = backend.buffers;
      await readAll(() => {
        const x = tensor(new Float32Array(100), [10, 10], { backend });
        return [run('softmax', [x], {})[0], run('sum', [x], { axes: [0] })[0]];
      });
      await backend.settled();
      expect(backend.buffers).toBe(kept);
    });
  });
}
