/**
 * @file A recording of kernel calls with their arguments (CUDA calls it a graph). They are made again without a check, an allocation or
 * a look-up. Kernels that run in TypeScript are recorded as functions.
 */
import type { Operand, Recording } from '../backend.ts';
import type { KernelCall, WasmRuntime } from './runtime.ts';
import { Place } from './unowned.ts';

/** An operand that can still be found when its tensor has been freed: a recording keeps the memory. */
const fixed = (x: Operand): Operand => ({ storage: { ...x.storage }, dtype: x.dtype, shape: x.shape });

/** Writes down the kernel calls that are made while `record` runs. */
export class Recorder {
  private readonly runtime: WasmRuntime;
  private readonly steps: (KernelCall | (() => void))[] = [];
  /** Places whose addresses are written down. */
  private readonly pinned = new Set<Place>();

  private constructor(runtime: WasmRuntime) {
    this.runtime = runtime;
  }

  /** Runs `f`, which tells the recorder of kernels that run in TypeScript, and returns the recording. */
  static record(runtime: WasmRuntime, f: (recorder: Recorder) => void): Recording {
    const recorder = new Recorder(runtime);
    const { steps } = recorder;
    let giveBack: () => void;
    runtime.onCall = (call) => steps.push(call);
    try {
      giveBack = runtime.heap.apart(() => f(recorder));
    } finally {
      runtime.onCall = null;
    }
    const nanoseconds = steps.reduce((sum, step) => sum + (typeof step === 'function' ? 0 : step.nanoseconds), 0);
    return {
      replay() {
        runtime.pool?.wake(nanoseconds);
        for (const step of steps) {
          if (typeof step === 'function') step();
          else runtime.repeat(step);
        }
      },
      release() {
        steps.length = 0;
        for (const place of recorder.pinned) place.pins--;
        recorder.pinned.clear();
        giveBack();
      },
    };
  }

  /** The values of an operand stay where they are as long as the recording lasts. */
  pin({ storage }: Operand): void {
    if (typeof storage.handle === 'number') storage.handle = new Place(storage.handle, storage.length * 4);
    const { handle } = storage;
    if (!(handle instanceof Place) || this.pinned.has(handle)) return;
    handle.pins++;
    this.pinned.add(handle);
  }

  /** Runs a kernel in TypeScript and records it, with the calls of WebAssembly in it. */
  run(
    kernel: (outs: readonly Operand[], ins: readonly Operand[]) => void,
    outs: readonly Operand[],
    ins: readonly Operand[],
  ): void {
    const { onCall } = this.runtime;
    // Without `onCall` this kernel is part of another one in TypeScript, which is recorded as a whole.
    if (onCall !== null) {
      const [to, from] = [outs.map(fixed), ins.map(fixed)];
      this.steps.push(() => kernel(to, from));
    }
    this.runtime.onCall = null;
    try {
      kernel(outs, ins);
    } finally {
      this.runtime.onCall = onCall;
    }
  }
}
