/**
 * @file Computations of fixed shapes that run over and over, like the step of a byte in decoding. On a small model, checking shapes and
 * allocating memory for some 150 kernels takes as long as the kernels themselves. The first time a `Replay` runs such a computation it
 * records the kernels. From then on it writes the new inputs over the old ones and has the same kernels run again.
 */
import { watchesKernels } from './anomaly.ts';
import type { Backend, Recording } from './backend.ts';
import { checkAgain, noteIndexChecks } from './contract/indices.ts';
import { ledgerIsOpen } from './ledger.ts';
import { keep, release, scope } from './memory.ts';
import { run } from './run.ts';
import { overwrite, type Tensor, tensor } from './tensor.ts';

/** Values of one input: whole numbers make an i32 tensor, others f32. */
export type ReplayInput = Int32Array | Float32Array;

interface Entry {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Checks of whole numbers that the kernels asked for, to be made on the next ones. */
  readonly checks: ReturnType<typeof noteIndexChecks>;
  readonly recording: Recording;
}

/** A new tensor of the same memory. */
const again = (y: Tensor): Tensor => run('reshape', [y], { shape: y.shape })[0];

/** At most this many combinations of lengths are recorded, because each recording keeps memory. Others run kernel by kernel. */
const MOST_SHAPES = 64;

/**
 * `f` as a function of the values of its inputs, recorded once for each combination of their lengths and kinds (whole numbers or floats). Beyond its inputs `f` may read
 * and overwrite tensors that live longer than it (weights, caches); when one of these is replaced by another tensor, call `forget`.
 * Decisions that `f` makes in TypeScript must depend on nothing but the inputs' lengths, and so must the range of ids that kernels make.
 *
 * Where somebody watches single kernels (`withLedger`, `withAnomalyDetection`), and on backends that cannot record, `f` itself runs.
 */
export class Replay<Counts = void> {
  readonly backend: Backend;
  private readonly f: (inputs: Tensor[], counts: Counts) => Tensor[];
  private readonly entries = new Map<string, Entry>();

  constructor(backend: Backend, f: (inputs: Tensor[], counts: Counts) => Tensor[]) {
    this.backend = backend;
    this.f = f;
  }

  /**
   * The results of `f`, new tensors of the innermost scope. Results of a recording share the memory of all its runs: read them before
   * the next run with inputs of these lengths.
   * @param counts handed to `f`: numbers for the FLOP ledger, on which results do not depend
   * @param once do not record, because inputs of these lengths will hardly come again
   */
  run(values: readonly ReplayInput[], counts: Counts, once = false): Tensor[] {
    const { backend } = this;
    if (once || !backend.record || ledgerIsOpen() || watchesKernels()) return this.plain(values, counts);
    let key = '';
    for (const x of values) key += `${x.length}${x instanceof Int32Array ? 'i' : 'f'},`;
    let entry = this.entries.get(key);
    if (entry) {
      const { inputs, checks, recording } = entry;
      for (let i = 0; i < values.length; i++) overwrite(inputs[i].storage, values[i]);
      for (const check of checks) checkAgain(check);
      recording.replay();
    } else {
      if (this.entries.size >= MOST_SHAPES) return this.plain(values, counts);
      entry = this.record(backend.record.bind(backend), values, counts);
      this.entries.set(key, entry);
    }
    return entry.outputs.map(again);
  }

  /** Drops all recordings and gives their memory back. */
  forget(): void {
    for (const { inputs, outputs, recording } of this.entries.values()) {
      recording.release();
      for (const x of [...inputs, ...outputs]) release(x);
    }
    this.entries.clear();
  }

  private record(record: (f: () => void) => Recording, values: readonly ReplayInput[], counts: Counts): Entry {
    const inputs = values.map((x) => keep(tensor(x, undefined, this)));
    let outputs: Tensor[] = [];
    try {
      let recording!: Recording;
      const checks = noteIndexChecks(() => {
        recording = record(() => {
          outputs = scope(() => this.f(inputs, counts));
        });
      });
      // Tensors of its own, because `f` may return what is not: `forget` frees them.
      return { inputs, outputs: outputs.map((y) => keep(again(y))), checks, recording };
    } catch (error) {
      for (const x of inputs) release(x);
      throw error;
    }
  }

  private plain(values: readonly ReplayInput[], counts: Counts): Tensor[] {
    return scope(() => {
      const inputs = values.map((x) => tensor(x, undefined, this));
      return this.f(inputs, counts);
    });
  }
}
