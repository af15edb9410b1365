/** @file The program that a browser page runs for the tests: kernels of the contract on a GPU backend, cases in and values out. */
import { contract, createWasmBackend, type DType, type KernelName, run, scope, tensor } from '@blt-ts/tensor';
import { createGpuBackend, type GpuBackend, type GpuMode } from '@blt-ts/tensor/gpu';
import { smallPlan, trainingLosses } from './gpu-training.ts';

/** A case as plain data. */
export interface PageCase {
  readonly kernel: KernelName;
  readonly ins: readonly {
    readonly dtype: DType;
    readonly shape: readonly number[];
    readonly values: readonly number[];
  }[];
  readonly attrs: object;
}

export interface PageResult {
  readonly shape: readonly number[];
  readonly values: number[];
}

let backend: GpuBackend | null = null;

const page = {
  async start(mode: GpuMode): Promise<string> {
    await backend?.destroy();
    backend = await createGpuBackend({ mode });
    return backend.description;
  },
  /** The outputs of each case, or for an in-place kernel the inputs it overwrites. */
  async run(cases: readonly PageCase[]): Promise<PageResult[][]> {
    const results: PageResult[][] = [];
    for (const { kernel, ins, attrs } of cases) {
      const reads = scope(() => {
        const tensors = ins.map((x) => tensor(x.values, x.shape, { dtype: x.dtype, backend: backend! }));
        const outs = run(kernel, tensors, attrs as never);
        const ends = contract[kernel].mutates?.map((i) => tensors[i]) ?? outs;
        return { all: ends.map((y) => ({ shape: y.shape, values: y.read() })) };
      });
      results.push(
        await Promise.all(reads.all.map(async ({ shape, values }) => ({ shape, values: [...(await values)] }))),
      );
    }
    return results;
  },
  /** Losses of some steps of a small model here, and on the CPU. */
  async train(steps: number): Promise<{ losses: number[]; want: number[] }> {
    const plan = smallPlan(steps);
    return { losses: await trainingLosses(backend!, plan), want: await trainingLosses(createWasmBackend(), plan) };
  },
  counters(): { compiles: number; buffers: number; bytesInUse: number } {
    const { compiles, buffers, bytesInUse } = backend!;
    return { compiles, buffers, bytesInUse };
  },
};

export type GpuPage = typeof page;

(globalThis as unknown as { gpuPage: GpuPage }).gpuPage = page;
