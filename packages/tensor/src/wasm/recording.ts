/**
 * @file A recording of kernel calls (CUDA calls it a graph): calls with their arguments, to be made again without a check, an
 * allocation or a look-up. What is no call of native code is written down as a function.
 */
import type { Operand, Recording } from '../backend.ts';
import type { KernelCall, Machine } from './machine.ts';

/** An operand that is still to be found when its tensor has been freed: a recording keeps the memory. */
const fixed = (x: Operand): Operand => ({ storage: { ...x.storage }, dtype: x.dtype, shape: x.shape });

export class Recorder {
  private readonly machine: Machine;
  private readonly steps: (KernelCall | (() => void))[] = [];

  private constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Runs `f`, which tells the recorder of what is not native code, and returns what it ran. */
  static record(machine: Machine, f: (recorder: Recorder) => void): Recording {
    const recorder = new Recorder(machine);
    const { steps } = recorder;
    let giveBack: () => void;
    machine.onCall = (call) => steps.push(call);
    try {
      giveBack = machine.heap.apart(() => f(recorder));
    } finally {
      machine.onCall = null;
    }
    return {
      replay() {
        for (const step of steps) {
          if (typeof step === 'function') step();
          else machine.repeat(step);
        }
      },
      release() {
        steps.length = 0;
        giveBack();
      },
    };
  }

  /** Runs a kernel in TypeScript and writes it down, native calls in it included. */
  run(
    kernel: (outs: readonly Operand[], ins: readonly Operand[]) => void,
    outs: readonly Operand[],
    ins: readonly Operand[],
  ): void {
    const { onCall } = this.machine;
    // Else it is part of one that is written down already.
    if (onCall !== null) {
      const [to, from] = [outs.map(fixed), ins.map(fixed)];
      this.steps.push(() => kernel(to, from));
    }
    this.machine.onCall = null;
    try {
      kernel(outs, ins);
    } finally {
      this.machine.onCall = onCall;
    }
  }
}
