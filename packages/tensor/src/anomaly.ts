/** @file Finds the kernel that first makes a value that is not finite. Off, it costs `run` one comparison. */
import { contract, type KernelName } from './contract.ts';
import { refusePromise } from './given.ts';
import { formatShape } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** A kernel made NaN or Infinity. */
export class AnomalyError extends Error {
  override readonly name = 'AnomalyError';
  readonly kernel: KernelName;
  /** The inputs of the kernel. */
  readonly inputs: readonly Tensor[];
  /** The first input that was not finite already; undefined if all were. */
  readonly culprit: Tensor | undefined;

  constructor(message: string, kernel: KernelName, inputs: readonly Tensor[], culprit: Tensor | undefined) {
    super(message);
    this.kernel = kernel;
    this.inputs = inputs;
    this.culprit = culprit;
  }
}

/** Looks at the outputs of a kernel, while somebody asks for it. It is a variable so that a bundle without `withAnomalyDetection` lacks `check`. */
let active: typeof check | null = null;

/**
 * Runs `f` with every kernel's outputs checked. The first NaN or +Infinity throws. -Infinity passes, because it is ln 0. This is slow
 * and for finding a fault. `f` must be synchronous. Kernels of `defineOp` are not checked, only what reads their results.
 * @throws AnomalyError naming the kernel, the place in its output, and whether its inputs were finite
 * @throws Error for a backend whose values cannot be read at once; TypeError if `f` returns a promise
 */
export function withAnomalyDetection<R>(f: () => R): R {
  const outer = active;
  active = check;
  try {
    const result = f();
    refusePromise('withAnomalyDetection', result);
    return result;
  } finally {
    active = outer;
  }
}

/** @internal Whether every kernel's outputs are to be looked at. */
export const watchesKernels = (): boolean => active !== null;

/** @internal Called by `run` after every kernel. */
export function checkOutputs(kernel: KernelName, outs: readonly Tensor[], ins: readonly Tensor[]): void {
  active?.(kernel, outs, ins);
}

/** The values, read from the backend because `Tensor.readSync` would be refused under a tape. */
const valuesOf = (x: Tensor): Float32Array => x.backend.readSync(x.storage) as Float32Array;

const isBad = (value: number): boolean => Number.isNaN(value) || value === Number.POSITIVE_INFINITY;

function check(kernel: KernelName, outs: readonly Tensor[], ins: readonly Tensor[]): void {
  const inPlace = contract[kernel].mutates;
  const made = inPlace?.map((i) => ins[i]) ?? outs;
  for (let o = 0; o < made.length; o++) {
    const x = made[o];
    if (x.dtype !== 'f32') continue;
    if (!x.backend.synchronous) {
      throw new Error(
        `anomaly detection reads every result at once, which ${x.backend.name} cannot; use reference or wasm`,
      );
    }
    const values = valuesOf(x);
    const at = values.findIndex(isBad);
    if (at === -1) continue;
    const culprit = inPlace
      ? undefined
      : ins.find((t) => t.dtype === 'f32' && valuesOf(t).some((v) => !Number.isFinite(v)));
    let bad = 0;
    for (const value of values) if (isBad(value)) bad++;
    const from = inPlace
      ? 'updated in place'
      : culprit
        ? `input ${ins.indexOf(culprit)} ${formatShape(culprit.shape)} was not finite before`
        : `from finite inputs ${ins.map((t) => formatShape(t.shape)).join(' ')}`;
    throw new AnomalyError(
      `${kernel} made ${values[at]} at [${indices(at, x.shape)}] of its output ${formatShape(x.shape)} (${bad} of ${values.length} values), ${from}`,
      kernel,
      ins,
      culprit,
    );
  }
}

/** A place in row-major values as one index per axis. */
function indices(at: number, shape: readonly number[]): string {
  const found: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    found.unshift(at % shape[axis]);
    at = Math.floor(at / shape[axis]);
  }
  return found.join(',');
}
