/** @file The reference backend: typed arrays, and the definitions of the kernels. */
import type { Backend, Operand, Storage, TypedArray } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';
import { checkOptions, describe } from '../given.ts';
import type { DType } from '../shape.ts';
import { referenceKernels } from './kernels.ts';
import type { CpuKernel, View } from './view.ts';

const view = (x: Operand): View => ({ data: x.storage.handle as TypedArray, shape: x.shape });

/** So many storages are counted until the collector reports them. */
const MOST_COUNTED = 4096;

/**
 * Counts the bytes of storages that no scope owns. The collector takes them, for they are arrays like others, but reports it between jobs
 * only: a job that makes many would fill the memory with reports to come. So the oldest are no longer counted.
 */
class Uncollected {
  private readonly gone: (bytes: number) => void;
  private registry!: FinalizationRegistry<number>;
  private count = 0;
  private bytes = 0;

  /** @param gone told how many bytes are no longer to be counted */
  constructor(gone: (bytes: number) => void) {
    this.gone = gone;
    this.begin();
  }

  private begin(): void {
    const registry = new FinalizationRegistry<number>((bytes) => {
      if (registry === this.registry) this.subtract(bytes);
    });
    this.registry = registry;
  }

  private subtract(bytes: number): void {
    this.count--;
    this.bytes -= bytes;
    this.gone(bytes);
  }

  add(storage: Storage, bytes: number): void {
    if (this.count === MOST_COUNTED) {
      this.gone(this.bytes);
      this.count = this.bytes = 0;
      this.begin();
    }
    this.count++;
    this.bytes += bytes;
    this.registry.register(storage, bytes, storage);
  }

  /** A storage is freed by its owner. */
  forget(storage: Storage, bytes: number): void {
    if (this.registry.unregister(storage)) this.subtract(bytes);
  }
}

/**
 * The definition: plain TypeScript loops. With `precision: 'f64'` the dtype f32 is kept in 64 bits, which is how gradient
 * rules are checked against finite differences without rounding noise. @throws TypeError for another precision
 */
export function createReferenceBackend(options: { precision?: 'f32' | 'f64' } = {}): Backend {
  checkOptions('createReferenceBackend', options, ['precision']);
  const { precision = 'f32' } = options;
  if (precision !== 'f32' && precision !== 'f64') {
    throw new TypeError(`createReferenceBackend: precision must be f32 or f64, got ${describe(precision)}`);
  }
  const double = precision === 'f64';
  let bytesInUse = 0;
  const uncollected = new Uncollected((bytes) => {
    bytesInUse -= bytes;
  });
  const bytes = (s: Storage) => (s.handle as TypedArray).byteLength;
  const backend: Backend = {
    name: double ? 'reference64' : 'reference',
    description: `plain TypeScript loops, ${double ? '64' : '32'}-bit floats: the definition, not meant to be fast`,
    synchronous: true,
    get bytesInUse() {
      return bytesInUse;
    },
    allocate(dtype: DType, length: number): Storage {
      const handle =
        dtype === 'i32' ? new Int32Array(length) : double ? new Float64Array(length) : new Float32Array(length);
      bytesInUse += handle.byteLength;
      return { backend, dtype, length, refs: 0, version: 0, handle };
    },
    free(storage: Storage) {
      if (storage.unowned) uncollected.forget(storage, bytes(storage));
      else bytesInUse -= bytes(storage);
      storage.handle = null;
    },
    unowned(storage: Storage) {
      uncollected.add(storage, bytes(storage));
    },
    write(storage, values) {
      (storage.handle as TypedArray).set(values);
    },
    readSync(storage, from, to) {
      const data = storage.handle as TypedArray;
      // Typed as f32 for the caller; with precision 'f64' the values keep their 64 bits.
      return data.slice(from, to) as Float32Array | Int32Array;
    },
    async read(storage) {
      return backend.readSync(storage);
    },
    runLoop(loop, outs, ins) {
      loop(outs.map(view), ins.map(view));
    },
    run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]) {
      (referenceKernels[kernel] as CpuKernel<K>)(outs.map(view), ins.map(view), attrs);
    },
  };
  return backend;
}

/** The shared instance with 32-bit floats. */
export const referenceBackend: Backend = createReferenceBackend();
