/**
 * @file The backend: storages are cells of the device, kernels of the contract are calls in its queue.
 *
 * Values leave the device only through `await t.read()`. Whole numbers (ids, positions, bounds) are kept on the host as well,
 * since gradients of tables and the bounds of attention are worked out there.
 */
import type { Backend, Operand, OwnSource, Storage } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';
import type { DType } from '../shape.ts';
import { Calls, cellOf, line, rowSizes, rows } from './calls.ts';
import { type Cell, CommandQueue } from './cell.ts';
import type { Driver } from './drivers/driver.ts';
import type { GpuMode } from './drivers/gpu-js.ts';
import { kernel } from './kernel-source.ts';
import { attentionPrograms } from './programs/attention.ts';
import { axisPrograms } from './programs/axis.ts';
import { elementwisePrograms } from './programs/elementwise.ts';
import { matmulPrograms } from './programs/matmul.ts';
import { normPrograms } from './programs/norm.ts';
import { optimizerPrograms } from './programs/optimizer.ts';
import type { Program } from './programs/program.ts';
import { reducePrograms } from './programs/reduce.ts';
import { ropePrograms } from './programs/rope.ts';
import { rowsPrograms } from './programs/rows.ts';
import { shapePrograms } from './programs/shape.ts';
import { softmaxPrograms } from './programs/softmax.ts';

const programs: { readonly [K in KernelName]: Program<K> } = {
  ...elementwisePrograms,
  ...reducePrograms,
  ...shapePrograms,
  ...axisPrograms,
  ...matmulPrograms,
  ...rowsPrograms,
  ...softmaxPrograms,
  ...normPrograms,
  ...ropePrograms,
  ...attentionPrograms,
  ...optimizerPrograms,
};

/** A backend on a device, with what can be measured about it. */
export interface GpuBackend extends Backend {
  readonly mode: GpuMode;
  /** No hardware behind it: a processor plays the GPU (llvmpipe, SwiftShader, and `webasm` always). */
  readonly software: boolean;
  /** Kernels compiled so far: constant once every kind of call has been made. */
  readonly compiles: number;
  /** Kernel calls so far. */
  readonly launches: number;
  /** Buffers on the device. Calls still waiting are not in it: `await settled()` first. */
  readonly buffers: number;
  /** Resolves when all calls so far have been handed to the device. */
  settled(): Promise<void>;
  /** Gives the device back. Tensors on it can no longer be read. */
  destroy(): Promise<void>;
}

/** Whole numbers that came from the host; without elements there are none to ask a device for. */
const hostOf = ({ dtype, length, handle }: Storage): Int32Array | null =>
  dtype === 'i32' ? (length === 0 ? new Int32Array(0) : (handle as Cell).host) : null;

const onDevice = (mode: string) =>
  new Error(`readSync: the values of this tensor are on the device (backend ${mode}); use await tensor.read()`);

/** Whole numbers that a kernel made, which are floats on the device. 2^31 is what 2^31 - 1 is rounded to. */
const wholeNumbers = (values: Float32Array): Int32Array => Int32Array.from(values, (v) => Math.min(v, 2 ** 31 - 1));

/** Launches the source of a kernel that is not in the contract. */
const runSource = (
  queue: CommandQueue,
  { name, grid, body, ...args }: OwnSource,
  out: Operand,
  ins: readonly Operand[],
  scalars: readonly number[],
): void => {
  const [n, C] = grid === 'rows' ? rowSizes(out) : [0, 0];
  const launch = grid === 'rows' ? rows(C, n) : line(out.storage.length);
  new Calls(queue).into(cellOf(out), kernel(name, grid, args, body), launch, ins.map(cellOf), scalars);
};

/** The backend of a device. */
export function backendOf(driver: Driver): GpuBackend {
  const queue = new CommandQueue(driver);
  let bytesInUse = 0;
  const cell = (storage: Storage) => storage.handle as Cell;
  const backend: GpuBackend = {
    name: driver.mode,
    mode: driver.mode,
    description: driver.description,
    software: driver.software,
    synchronous: false,
    get bytesInUse() {
      return bytesInUse;
    },
    get compiles() {
      return driver.compiles;
    },
    get launches() {
      return queue.launches;
    },
    get buffers() {
      return queue.buffers;
    },
    settled: () => queue.settled(),
    async destroy() {
      await queue.settled();
      await driver.destroy();
    },
    allocate(dtype: DType, length: number): Storage {
      bytesInUse += length * 4;
      return { backend, dtype, length, refs: 0, version: 0, handle: queue.allocate(length) };
    },
    free(storage) {
      bytesInUse -= storage.length * 4;
      queue.free(cell(storage));
      storage.handle = null;
    },
    write(storage, values) {
      queue.write(cell(storage), values, storage.dtype === 'i32');
    },
    readSync(storage, from, to) {
      const known = hostOf(storage);
      if (known) return known.slice(from, to);
      throw onDevice(driver.mode);
    },
    async read(storage) {
      if (storage.dtype === 'f32') return queue.read(cell(storage));
      return cell(storage).host?.slice() ?? wholeNumbers(await queue.read(cell(storage)));
    },
    runSource: (source, out, ins, scalars) => runSource(queue, source, out, ins, scalars),
    run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]) {
      const calls = new Calls(queue);
      try {
        (programs[kernel] as Program<K>)(calls, outs, ins, attrs);
      } finally {
        calls.end();
      }
    },
  };
  return backend;
}
