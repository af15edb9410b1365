/** @file Ids, positions and bounds out of range are refused before a kernel runs. */

import type { Arr } from '@blt-ts/autograd/testing';
import { kernelNames, raggedSize, rowOf, toTensors } from '@blt-ts/autograd/testing';
import { contract, createWasmBackend, type KernelName, Replay, run, scope, tensor, zeros } from '@blt-ts/tensor';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../../support/backends.ts';
import { property } from '../../support/property.ts';

const webasm = { name: 'gpu.js on the CPU', backend: await createGpuBackend({ mode: 'webasm' }) };
const everywhere = [...backends, reference64, webasm];
// The whole numbers of toF32 are values, of which any will do.
const withIndices = kernelNames.filter((kernel) => contract[kernel].inputs.includes('i32') && kernel !== 'toF32');

test('every input of whole numbers has its range in the contract', () => {
  expect(withIndices.length).toBe(16);
  for (const kernel of withIndices) {
    const { inputs, indices = [] } = contract[kernel];
    const whole = inputs.flatMap((dtype, i) => (dtype === 'i32' ? [i] : []));
    expect(indices.map(({ input }) => input).sort(), kernel).toEqual(whole);
  }
});

interface Wrong {
  readonly ins: readonly Arr[];
  readonly attrs: object;
  readonly message: string;
}

/** A case of the kernel with one of its whole numbers out of its range. */
const outOfRange = (kernel: KernelName): fc.Arbitrary<Wrong | null> =>
  fc
    .tuple(
      rowOf(kernel).cases(raggedSize),
      fc.nat(),
      fc.nat(),
      fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2 ** 30 })),
      fc.boolean(),
    )
    .map(([{ ins, attrs }, which, where, by, above]) => {
      const ranges = contract[kernel].indices ?? [];
      const { input, name, lowest = 0, end } = ranges[which % ranges.length];
      const { values } = ins[input];
      if (values.length === 0) return null;
      const at = where % values.length;
      const limit = end(ins, attrs as never);
      const value = above ? limit - 1 + by : lowest - by;
      return {
        ins: ins.map((x, i) => (i === input ? { ...x, values: x.values.map((v, j) => (j === at ? value : v)) } : x)),
        attrs,
        message: `${kernel}: ${name} ${value} at position ${at} is outside ${lowest}..${limit - 1}`,
      };
    });

describe.each(everywhere)('on $name', ({ backend }) => {
  for (const kernel of withIndices) {
    property(`${kernel} refuses a number out of its range, and no tensor changes`, outOfRange(kernel), 30, (c) => {
      if (c === null) return;
      scope(() => {
        const tensors = toTensors(c.ins, backend);
        const bystander = tensor([1, 2, 3], [3], { backend });
        const all = [...tensors, bystander];
        const values = () => (backend.synchronous ? all.map((x) => [...x.readSync()]) : []);
        const [before, bytes] = [values(), backend.bytesInUse];
        let said: unknown;
        try {
          run(kernel, tensors, c.attrs as never);
        } catch (error) {
          said = error;
        }
        expect(said).toBeInstanceOf(RangeError);
        expect((said as Error).message).toBe(c.message);
        expect(values()).toEqual(before);
        expect(backend.bytesInUse).toBe(bytes);
      });
    });
  }

  test('starts and bounds that decrease, and rows of the optimiser that do not rise, are refused', () => {
    scope(() => {
      const i32 = (...values: number[]) => tensor(Int32Array.from(values), undefined, { backend });
      const x = zeros([4, 2], { backend });
      const says = (f: () => unknown, message: string) => expect(f).toThrow(new RangeError(message));
      says(
        () => run('segmentMax', [x, i32(0, 3, 2)], {}),
        'segmentMax: start 2 at position 2 comes after 3; they may never decrease',
      );
      says(
        () => run('segmentGatherSum', [x, i32(0, 1, 2), i32(0, 3, 2)], {}),
        'segmentGatherSum: start 2 at position 2 comes after 3; they may never decrease',
      );
      const attention = { heads: 1, kvHeads: 1, scale: 1, pairs: 4 };
      says(
        () => run('intervalAttention', [x, x, x, i32(0, 2, 1, 2), i32(4, 4, 4, 4)], attention),
        'intervalAttention: lo 1 at position 2 comes after 2; they may never decrease',
      );
      says(
        () => run('adamwCatchUp', [x, x, x, i32(1, 1), zeros([2, 5], { backend })], {}),
        'adamwCatchUp: id 1 at position 1 comes after 1; each must be larger than the one before',
      );
    });
  });

  test('numbers are looked at again once they have changed', () => {
    scope(() => {
      const table = zeros([3, 2], { backend });
      const ids = tensor(Int32Array.of(0, 2), undefined, { backend });
      run('gatherRows', [table, ids], {});
      ids.assign([0, 3]);
      expect(() => run('gatherRows', [table, ids], {})).toThrow('gatherRows: id 3 at position 1 is outside 0..2');
      ids.assign([1, 2]);
      run('gatherRows', [table, ids], {});
    });
  });
});

test('backward kernels refuse operands that do not belong together', () => {
  scope(() => {
    const f32 = (...shape: number[]) => zeros(shape);
    const i32 = (...values: number[]) => tensor(Int32Array.from(values));
    const eps = { eps: 1e-5 };
    expect(() => run('crossEntropyBackward', [f32(1, 3), i32(0, 0), f32(2)], {})).toThrow(
      'targets must be [1], got [2]',
    );
    expect(() => run('rmsNormBackward', [f32(2, 3), f32(9), f32(2, 3)], eps)).toThrow('w must be [3], got [9]');
    expect(() => run('swiGluBackward', [f32(2, 3), f32(1, 3), f32(2, 3)], {})).toThrow('b must be [2,3], got [1,3]');
    expect(() => run('segmentMaxBackward', [f32(4, 2), f32(3, 2), f32(3, 2), i32(0, 4)], {})).toThrow(
      'y must be [1,2], got [3,2]',
    );
  });
});

test('a replayed computation looks at its new numbers before any kernel runs', () => {
  const backend = createWasmBackend();
  const table = zeros([4, 2], { backend });
  const replay = new Replay(backend, ([ids, rows]) => {
    run('writeRows', [table, ids, run('reshape', [rows], { shape: [ids.size, 2] })[0]], {});
    return run('gatherRows', [table, ids], {});
  });
  const step = (...ids: number[]) =>
    scope(() => replay.run([Int32Array.from(ids), new Float32Array(ids.length * 2).fill(7)], undefined)[0].readSync());
  step(1);
  expect([...step(2)]).toEqual([7, 7]);
  const before = [...table.readSync()];
  expect(() => step(4)).toThrow(new RangeError('writeRows: id 4 at position 0 is outside 0..3'));
  expect([...table.readSync()]).toEqual(before);
  expect([...step(3)]).toEqual([7, 7]);
});
