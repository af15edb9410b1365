/** @file The interface of a device: buffers of floats, and kernels over them. One implementation per mode of gpu.js. */

import type { KernelSource } from '../kernel-source.ts';
import type { GpuMode } from './gpu-js.ts';

/** The results of one call. line: `count`. rows: `columns` x `rows`. tiles: `columns` x `rows` for each matrix, four columns to a thread. */
export type Launch =
  | { readonly grid: 'line'; readonly count: number }
  | { readonly grid: 'rows'; readonly columns: number; readonly rows: number }
  | { readonly grid: 'tiles'; readonly columns: number; readonly rows: number; readonly matrices: number };

/** Elements a launch computes. */
export function sizeOfLaunch(launch: Launch): number {
  if (launch.grid === 'line') return launch.count;
  return launch.columns * launch.rows * (launch.grid === 'tiles' ? launch.matrices : 1);
}

/** The device is lost, out of memory, or refuses: what it held is gone, and what was saved before is not. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}

/** The failure of a driver that was given back. */
export const destroyed = (): Error => new DeviceError('this GPU backend has been destroyed; create another');

/** Whether an adapter of this name is a processor: Mesa's llvmpipe (lavapipe) and softpipe, SwiftShader, Windows' WARP. */
export const isSoftwareName = (name: string): boolean =>
  /llvmpipe|lavapipe|softpipe|swiftshader|basic render|\bwarp\b|software/i.test(name);

/** A buffer as the driver knows it. */
export type Buffer = unknown;

/** A device that runs kernels. */
export interface Driver {
  readonly mode: GpuMode;
  /** Adapter and how it is reached. */
  readonly description: string;
  /** No hardware behind it: a processor plays the GPU. */
  readonly software: boolean;
  /** Kernels compiled so far. */
  readonly compiles: number;
  /** Whether the results of `tiles` kernels can be read by others. */
  readonly tiles: boolean;
  /** Whether integers wrap around at 32 bits in kernels. */
  readonly integers: boolean;
  /** Set when the device is lost, out of memory or given back: nothing can be trusted from then on. */
  readonly failure: Error | null;
  /** Elements of the largest buffer. */
  readonly largest: number;
  /** A size as it is best asked for, so that similar ones share compiled kernels. */
  round(length: number): number;
  upload(values: Float32Array): Buffer;
  /** Runs a kernel: the arrays, then its whole numbers and floats; those of the grid are added here. */
  launch(
    k: KernelSource,
    launch: Launch,
    arrays: readonly Buffer[],
    scalars: readonly number[],
  ): Buffer | Promise<Buffer>;
  /** The first `length` values. */
  read(buffer: Buffer, length: number): Promise<Float32Array>;
  release(buffer: Buffer): void;
  /** `table` with row ids[u] replaced by row u of `rows`: the buffer to use from now on; the given one is used up. */
  putRows?(table: Buffer, rows: Buffer, ids: Int32Array, columns: number): Buffer;
  destroy(): Promise<void>;
}
