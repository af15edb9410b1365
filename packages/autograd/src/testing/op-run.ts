/** @file Running rows of the op table on a backend, and comparing with their definitions. */
import { type Backend, contract, type KernelName, run, type Storage, scope, type Tensor, tensor } from '@blt-ts/tensor';
import type { TestedBackend } from './backends.ts';
import { expectEqual } from './law.ts';
import type { Arr, Case, Expected, OpRow } from './op-row.ts';

/** An array of a case as a tensor on a backend. */
export const toTensor = (x: Arr, backend: Backend): Tensor => tensor(x.values, x.shape, { dtype: x.dtype, backend });

/** The arrays of a case as tensors on a backend. */
export const toTensors = (xs: readonly Arr[], backend: Backend): Tensor[] => xs.map((x) => toTensor(x, backend));

/** Every storage is full of NaN before a kernel writes it: an element that is never written shows. */
export function inPoisonedMemory<R>(backend: Backend, f: () => R): R {
  const { allocate } = backend;
  backend.allocate = (dtype, length) => {
    const storage = allocate.call(backend, dtype, length);
    backend.write(storage, new Float64Array(length).fill(dtype === 'i32' ? -(2 ** 31) : Number.NaN));
    return storage;
  };
  try {
    return f();
  } finally {
    backend.allocate = allocate;
  }
}

/** A typed array that throws where it would give undefined, or swallow a write: beyond its end. */
function guarded<T extends object>(values: T): T {
  const check = (key: string | symbol) => {
    if (typeof key === 'string' && /^-?[\d.]+$|^NaN$|^undefined$/.test(key) && !Object.hasOwn(values, key)) {
      throw new RangeError(`element ${key} is outside of an operand`);
    }
  };
  return new Proxy(values, {
    get(target, key) {
      check(key);
      const found: unknown = Reflect.get(target, key, target);
      return typeof found === 'function' ? found.bind(target) : found;
    },
    set(target, key, value) {
      check(key);
      return Reflect.set(target, key, value, target);
    },
  });
}

/** On a backend whose storages are typed arrays: every access of a kernel beyond the end of an operand throws. */
export function inGuardedMemory<R>(backend: Backend, f: () => R): R {
  const { allocate } = backend;
  backend.allocate = (dtype, length) => {
    const storage = allocate.call(backend, dtype, length);
    storage.handle = guarded(storage.handle as object);
    return storage;
  };
  try {
    return f();
  } finally {
    backend.allocate = allocate;
  }
}

/** The storages whose values are read while f runs, by kernels or by the host. */
export function storagesRead(backend: Backend, f: () => void): Set<Storage> {
  const { run: runKernel, readSync } = backend;
  const read = new Set<Storage>();
  backend.run = (kernel, outs, ins, attrs) => {
    for (const x of ins) read.add(x.storage);
    runKernel.call(backend, kernel, outs, ins, attrs as never);
  };
  backend.readSync = (storage) => {
    read.add(storage);
    return readSync.call(backend, storage);
  };
  try {
    f();
  } finally {
    Object.assign(backend, { run: runKernel, readSync });
  }
  return read;
}

/** A tensor that has been read. */
export interface Result {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Reads tensors made in a scope, on any backend: the values are asked for before it frees them. */
export async function readAll(make: () => readonly Tensor[]): Promise<Result[]> {
  // Wrapped, since a scope refuses promises.
  const { reads } = scope(() => ({ reads: make().map((y) => ({ shape: y.shape, values: y.read() })) }));
  return Promise.all(reads.map(async ({ shape, values }) => ({ shape, values: await values })));
}

/** `runCase` on a backend whose values must be waited for. */
export function runCaseAsync<K extends KernelName>(
  kernel: K,
  { ins, attrs }: Case<K>,
  backend: Backend,
): Promise<Result[]> {
  return readAll(() => {
    const tensors = toTensors(ins, backend);
    const outs = run(kernel, tensors, attrs);
    return contract[kernel].mutates?.map((i) => tensors[i]) ?? outs;
  });
}

/** Runs the kernel; gives its outputs, or for an in-place kernel the inputs it overwrites. */
export function runCase<K extends KernelName>(kernel: K, { ins, attrs }: Case<K>, backend: Backend): Result[] {
  return scope(() => {
    const tensors = toTensors(ins, backend);
    const outs = inPoisonedMemory(backend, () => run(kernel, tensors, attrs));
    const results = contract[kernel].mutates?.map((i) => tensors[i]) ?? outs;
    return results.map((y) => ({ shape: y.shape, values: y.readSync() }));
  });
}

const agree = (got: number, want: number, bound: number): boolean =>
  got === want || Math.abs(got - want) <= bound || (Number.isNaN(got) && Number.isNaN(want));

/** @throws naming the first element that is further from the definition than its bound */
export function expectWithin(
  got: Result,
  want: Expected,
  { name, roundoff, tiny }: Pick<TestedBackend, 'name' | 'roundoff' | 'tiny'>,
  what: string,
): void {
  expectEqual(got.shape, want.shape, `${what}: shape on ${name}`);
  expectEqual(got.values.length, want.values.length, `${what}: elements on ${name}`);
  want.values.forEach(({ value, error }, i) => {
    const bound = error * roundoff + (error > 0 ? tiny : 0);
    if (!agree(got.values[i], value, bound)) {
      throw new Error(
        `${what} on ${name}: element ${i} is ${got.values[i]}, defined as ${value}; ` +
          `${Math.abs(got.values[i] - value) / roundoff} roundoffs apart, ${error} allowed`,
      );
    }
  });
}

/** All outputs of one case, held to the definition. */
export function expectAllWithin(
  kernel: KernelName,
  got: readonly Result[],
  want: readonly Expected[],
  tested: Pick<TestedBackend, 'name' | 'roundoff' | 'tiny'>,
): void {
  expectEqual(got.length, want.length, `${kernel}: outputs`);
  got.forEach((y, i) => {
    expectWithin(y, want[i], tested, `${kernel}, output ${i}`);
  });
}

/** The outputs of one case on one backend, held to the definition. */
export function expectDefined<K extends KernelName>(kernel: K, row: OpRow<K>, c: Case<K>, tested: TestedBackend): void {
  expectAllWithin(kernel, runCase(kernel, c, tested.backend), row.define(c.ins, c.attrs), tested);
}
