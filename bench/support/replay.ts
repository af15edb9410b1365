/** @file The cost of a step without the framework: its kernel calls and uploads, written down once and done again. */
import type { Backend, Operand, Storage, TypedArray } from '@blt-ts/tensor';

export interface RecordedStep {
  /** Does the same kernel calls on the same memory in the same order. */
  replay(): void;
  readonly kernels: number;
}

/**
 * Runs `step` once and writes down every kernel call and upload it makes on the backend. Memory is used as the step used it: a
 * replay puts the same values in the same places, if nothing was allocated for good in between.
 */
export function recordStep(backend: Backend, step: () => unknown): RecordedStep {
  const calls: (() => void)[] = [];
  let kernels = 0;
  const { run, write } = backend;
  // The storage loses its handle when it is freed; the copy keeps it.
  const copies = new Map<unknown, Storage>();
  const held = (storage: Storage): Storage => {
    const key = `${String(storage.handle)}/${storage.dtype}/${storage.length}`;
    const outside = typeof storage.handle === 'object';
    let copy = copies.get(outside ? storage.handle : key);
    if (!copy) copies.set(outside ? storage.handle : key, (copy = { ...storage }));
    return copy;
  };
  const operand = ({ dtype, shape, storage }: Operand): Operand => ({ dtype, shape, storage: held(storage) });
  backend.run = (kernel, outs, ins, attrs) => {
    const [o, i] = [outs.map(operand), ins.map(operand)];
    calls.push(() => run.call(backend, kernel, o, i, attrs));
    kernels++;
    run.call(backend, kernel, outs, ins, attrs);
  };
  backend.write = (storage, values) => {
    const to = held(storage);
    const copy = (values as TypedArray).slice();
    calls.push(() => write.call(backend, to, copy));
    write.call(backend, storage, values);
  };
  try {
    step();
  } finally {
    backend.run = run;
    backend.write = write;
  }
  return {
    kernels,
    replay() {
      for (const f of calls) f();
    },
  };
}
