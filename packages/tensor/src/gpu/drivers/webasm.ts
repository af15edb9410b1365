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

/** The values in an array of `size`: cut, or followed by zeros. */
function resized(values: Float32Array, size: number): Float32Array {
  if (values.length === size) return values;
  if (values.length > size) return values.subarray(0, size);
  const longer = new Float32Array(size);
  longer.set(values);
  return longer;
}

/** The threads of a call as gpu.js takes them, and the sizes that the kernel is told. */
function gridOf(launch: Launch, size: number): { output: number[]; grid: number[] } {
  if (launch.grid === 'line') return { output: [size], grid: [launch.count] };
  if (launch.grid === 'rows') {
    return { output: [launch.columns, Math.ceil(size / launch.columns), 1], grid: [launch.rows, 0] };
  }
  const rows = launch.matrices === 1 ? Math.ceil(size / launch.columns) : launch.rows;
  return { output: [launch.columns / 4, rows, launch.matrices], grid: [launch.rows] };
}

class WebasmDriver implements Driver {
  readonly mode = 'webasm';
  readonly description = 'WebAssembly on the CPU through gpu.js, one thread';
  readonly software = true;
  readonly integers = true;
  readonly tiles: boolean;
  readonly largest: number;
  compiles = 0;
  failure: Error | null = null;
  private readonly compiler = createCompiler('webasm');
  private readonly kernels = new Map<string, CompiledKernel>();

  constructor(tiles: boolean, largest: number) {
    this.tiles = tiles;
    this.largest = largest;
  }

  round(length: number): number {
    return bucket(length);
  }

  upload(values: Float32Array): Buffer {
    return resized(values, bucket(values.length));
  }

  launch(k: KernelSource, launch: Launch, buffers: readonly Buffer[], scalars: readonly number[]): Buffer {
    const arrays = buffers as readonly Float32Array[];
    const size = bucket(sizeOfLaunch(launch));
    const { output, grid } = gridOf(launch, size);
    const compiled = this.find(k, output, arrays);
    // biome-ignore lint/plugin: the parameters of one kernel
    const result = compiled(...arrays, ...scalars, ...grid);
    assertMode(compiled, 'webasm', k.name);
    return resized(flat(result), size);
  }

  /** The kernel compiled for these sizes; the one used longest ago gives way. */
  private find(k: KernelSource, output: number[], arrays: readonly Float32Array[]): CompiledKernel {
    const { kernels } = this;
    const key = `${k.name}|${output.join('x')}|${arrays.map((a) => a.length).join(',')}`;
    let compiled = kernels.get(key);
    if (compiled) kernels.delete(key);
    else {
      compiled = createKernel(this.compiler, 'webasm', k, output);
      this.compiles++;
      if (kernels.size >= KEPT) {
        const [oldest, unused] = kernels.entries().next().value!;
        kernels.delete(oldest);
        unused.destroy();
      }
    }
    kernels.set(key, compiled);
    return compiled;
  }

  async read(buffer: Buffer, length: number): Promise<Float32Array> {
    return (buffer as Float32Array).slice(0, length);
  }

  release(): void {}

  putRows(buffer: Buffer, rows: Buffer, ids: Int32Array, columns: number): Buffer {
    const table = buffer as Float32Array;
    ids.forEach((id, u) => {
      table.set((rows as Float32Array).subarray(u * columns, (u + 1) * columns), id * columns);
    });
    return table;
  }

  async destroy(): Promise<void> {
    this.failure ??= destroyed();
    this.kernels.clear();
    await this.compiler.destroy();
  }
}

/**
 * Each kernel has a WebAssembly memory of its own for its arrays and its result.
 * @param options.largest elements of the largest buffer, to test with smaller ones
 * @param options.tiles run matrix products with the tile kernel of the GPU; the plain one is twice as fast here, since gpu.js
 *   makes four threads of it one SIMD instruction
 */
export const createWebasmDriver = ({
  tiles = false,
  largest = 2 ** 28,
}: {
  tiles?: boolean;
  largest?: number;
} = {}): Driver => new WebasmDriver(tiles, largest);
