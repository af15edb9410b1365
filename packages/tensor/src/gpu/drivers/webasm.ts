/** @file gpu.js's WebAssembly mode: the kernels of the GPU on the CPU, for tests and for machines without one. */

import type { KernelSource } from '../kernel-source.ts';
import { type Buffer, type Driver, destroyed, type Launch, sizeOfLaunch } from './driver.ts';
import { assertMode, type CompiledKernel, createCompiler, createKernel } from './gpu-js.ts';

/** Compiled kernels kept; each has a memory of its own. */
const KEPT = 512;

/**
 * Sizes are part of the code here, so they are rounded up: to the next of four steps per power of two. Batches of similar size
 * then share kernels, at the price of a fifth more memory at most.
 */
export function bucket(length: number): number {
  if (length <= 16) return 2 ** Math.ceil(Math.log2(Math.max(1, length)));
  const step = 2 ** (Math.floor(Math.log2(length - 1)) - 2);
  return Math.ceil(length / step) * step;
}

/** The result of a call, however gpu.js has cut it into rows: they all lie in one buffer. */
function flat(result: unknown): Float32Array {
  let inner = result;
  while (!(inner instanceof Float32Array)) inner = (inner as unknown[])[0];
  return new Float32Array(inner.buffer);
}

/**
 * @param options.largest elements of the largest buffer, to test with smaller ones
 * @param options.tiles run matrix products with the tile kernel of the GPU; the plain one is twice as fast here, since gpu.js
 *   makes four threads of it one SIMD instruction
 */
export function createWebasmDriver(options: { tiles?: boolean; largest?: number } = {}): Driver {
  // Each kernel has a WebAssembly memory of its own for its arrays and its result.
  const { largest = 2 ** 28 } = options;
  const compiler = createCompiler('webasm');
  const kernels = new Map<string, CompiledKernel>();
  let compiles = 0;
  let failure: Error | null = null;

  const padded = (values: Float32Array, size: number): Float32Array => {
    if (values.length === size) return values;
    if (values.length > size) return values.subarray(0, size);
    const longer = new Float32Array(size);
    longer.set(values);
    return longer;
  };

  const find = (k: KernelSource, output: number[], arrays: readonly Float32Array[]): CompiledKernel => {
    const key = `${k.name}|${output.join('x')}|${arrays.map((a) => a.length).join(',')}`;
    let compiled = kernels.get(key);
    if (compiled) kernels.delete(key);
    else {
      compiled = createKernel(compiler, 'webasm', k, output);
      compiles++;
      if (kernels.size >= KEPT) {
        const [oldest, unused] = kernels.entries().next().value!;
        kernels.delete(oldest);
        unused.destroy();
      }
    }
    kernels.set(key, compiled);
    return compiled;
  };

  return {
    mode: 'webasm',
    description: 'WebAssembly on the CPU through gpu.js, one thread',
    software: true,
    get compiles() {
      return compiles;
    },
    tiles: options.tiles ?? false,
    integers: true,
    get failure() {
      return failure;
    },
    largest,
    round: bucket,
    upload: (values) => padded(values, bucket(values.length)),
    launch(k: KernelSource, launch: Launch, buffers: readonly Buffer[], scalars: readonly number[]) {
      const arrays = buffers as readonly Float32Array[];
      const size = bucket(sizeOfLaunch(launch));
      let output: number[];
      let grid: number[];
      if (launch.grid === 'line') [output, grid] = [[size], [launch.count]];
      else if (launch.grid === 'rows') {
        output = [launch.columns, Math.ceil(size / launch.columns), 1];
        grid = [launch.rows, 0];
      } else {
        const rows = launch.matrices === 1 ? Math.ceil(size / launch.columns) : launch.rows;
        output = [launch.columns / 4, rows, launch.matrices];
        grid = [launch.rows];
      }
      const compiled = find(k, output, arrays);
      const result = compiled(...arrays, ...scalars, ...grid);
      assertMode(compiled, 'webasm', k.name);
      return padded(flat(result), size);
    },
    read: async (buffer, length) => (buffer as Float32Array).slice(0, length),
    release() {},
    putRows(buffer, rows, ids, columns) {
      const table = buffer as Float32Array;
      ids.forEach((id, u) => {
        table.set((rows as Float32Array).subarray(u * columns, (u + 1) * columns), id * columns);
      });
      return table;
    },
    async destroy() {
      failure ??= destroyed();
      kernels.clear();
      await compiler.destroy();
    },
  };
}
