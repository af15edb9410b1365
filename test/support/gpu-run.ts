/** @file Running rows of the op table on a GPU backend, where values are read with `await`. */
import { type Backend, contract, type KernelName, run, scope, type Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TestedBackend } from './backends.ts';
import type { Case, Expected } from './op-row.ts';
import { expectWithin, toTensors } from './op-run.ts';
import { rowOf } from './op-table.ts';
import { runs } from './runs.ts';

export interface Result {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Reads tensors made in a scope: the values are asked for before it frees them. */
export async function readAll(make: () => readonly Tensor[]): Promise<Result[]> {
  // Wrapped, since a scope refuses promises.
  const { reads } = scope(() => ({ reads: make().map((y) => ({ shape: y.shape, values: y.read() })) }));
  return Promise.all(reads.map(async ({ shape, values }) => ({ shape, values: await values })));
}

/** Runs the kernel; gives its outputs, or for an in-place kernel the inputs it overwrites. */
export function results<K extends KernelName>(kernel: K, { ins, attrs }: Case<K>, backend: Backend): Promise<Result[]> {
  return readAll(() => {
    const tensors = toTensors(ins, backend);
    const outs = run(kernel, tensors, attrs);
    return contract[kernel].mutates?.map((i) => tensors[i]) ?? outs;
  });
}

export function expectAllWithin(
  kernel: string,
  got: readonly Result[],
  want: readonly Expected[],
  tested: Pick<TestedBackend, 'name' | 'roundoff' | 'tiny'>,
): void {
  expect(got.length, `${kernel}: outputs`).toBe(want.length);
  got.forEach((y, i) => {
    expectWithin(y, want[i], tested, `${kernel}, output ${i}`);
  });
}

const seed = process.env.BLT_SEED === undefined ? undefined : Number(process.env.BLT_SEED);

/** A test that a law holds for `n` generated cases. A failure prints its seed; `BLT_SEED=<seed>` replays it. */
export function asyncProperty<T>(law: string, cases: fc.Arbitrary<T>, n: number, check: (x: T) => Promise<void>): void {
  test(law, () => fc.assert(fc.asyncProperty(cases, check), { numRuns: runs(n), seed }));
}

/** A test that a kernel equals its definition on `n` generated cases. */
export function definedProperty(
  kernel: KernelName,
  tested: TestedBackend,
  size: fc.Arbitrary<number>,
  n: number,
): void {
  const row = rowOf(kernel);
  asyncProperty(kernel, row.cases(size), n, async (c) => {
    expectAllWithin(kernel, await results(kernel, c, tested.backend), row.define(c.ins, c.attrs), tested);
  });
}
