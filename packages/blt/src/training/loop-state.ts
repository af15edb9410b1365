/** @file The state of a training loop between two steps: numbers as JSON, and arrays by name. */
import { leaves } from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import type { AdamWState } from '../optim/adamw.ts';
import type { DataCursor } from './data-loader.ts';

/** Everything a loop needs to go on exactly where it was. */
export interface LoopState {
  readonly step: number;
  /** Updates in all, where they are not those of the options. */
  readonly steps?: number;
  /** Bytes of text seen, repeats counted. */
  readonly bytes: number;
  readonly cursor: DataCursor;
  readonly random: number[];
  /** Moving average of the loss, nats; null before the first step. */
  readonly lossAverage: number | null;
  /** Batches left out since the last update. */
  readonly skipped: number;
  readonly arrays: ReadonlyMap<string, Float32Array | Int32Array | Float64Array>;
}

/** An array of a state that is read when it is wanted. */
export interface LazyArray {
  readonly dtype: 'F32' | 'I32' | 'F64';
  readonly length: number;
  /** The values, the caller's own to keep or drop. */
  read(): Promise<Float32Array | Int32Array | Float64Array>;
  /** The same values in order, in pieces that are small where that is possible. */
  pieces(): AsyncIterable<Float32Array | Int32Array | Float64Array>;
}

/** A state whose arrays have not been copied: good until the next step, and for saving one array after the other. */
export interface LazyLoopState extends Omit<LoopState, 'arrays'> {
  readonly arrays: ReadonlyMap<string, LazyArray>;
}

/** The array of a state behind a tensor. */
export const lazyArray = (t: Tensor): LazyArray => ({
  dtype: t.dtype === 'i32' ? 'I32' : 'F32',
  length: t.size,
  read: () => t.read(),
  pieces: () => piecesOf(t),
});

/** Values in a piece: 1 MiB. Memory for a copy of a large table would be fetched from the system anew for every save. */
const PIECE = 2 ** 18;

async function* piecesOf(t: Tensor): AsyncGenerator<Float32Array | Int32Array> {
  // A device hands out whole tensors only.
  if (!t.backend.synchronous) return yield await t.read();
  for (let from = 0; from < t.size; from += PIECE) yield t.readSync(from, Math.min(t.size, from + PIECE));
}

/** The array of a state that the host holds; `read` copies it. */
export const hostArray = (values: Float32Array | Int32Array | Float64Array): LazyArray => ({
  dtype: values instanceof Float32Array ? 'F32' : values instanceof Int32Array ? 'I32' : 'F64',
  length: values.length,
  read: async () => values.slice(),
  async *pieces() {
    for (let from = 0; from < values.length; from += PIECE) yield values.subarray(from, from + PIECE);
  },
});

/** Reads every array. */
export async function readArrays(arrays: ReadonlyMap<string, LazyArray>): Promise<LoopState['arrays']> {
  const read = new Map<string, Float32Array | Int32Array | Float64Array>();
  for (const [name, array] of arrays) read.set(name, await array.read());
  return read;
}

/** The arrays of a loop, by the names they are saved under. @param average of the weights, if there is one */
export function loopArraysOf(
  params: object,
  optimizer: AdamWState<Tensor>,
  average: ReadonlyMap<string, Tensor> | null,
): Map<string, LazyArray> {
  const arrays = new Map<string, LazyArray>();
  for (const [name, t] of optimizer.tensors) arrays.set(name, lazyArray(t));
  for (const [name, p] of leaves(params)) arrays.set(`p.${name}`, lazyArray(p));
  for (const [name, t] of average ?? []) arrays.set(`ema.${name}`, lazyArray(t));
  for (const [name, lastStep] of optimizer.rows) arrays.set(`lastStep.${name}`, hostArray(lastStep));
  return arrays.set('rates', hostArray(optimizer.rates));
}

/** The arrays of a saved state, checked, for the tensors and the optimiser that they belong to. */
export interface CheckedArrays {
  readonly values: readonly (readonly [target: Tensor, values: Float32Array])[];
  readonly optimizer: AdamWState<Float32Array>;
}

/**
 * The arrays of a saved state for a loop whose optimiser is like `optimizer`.
 * @throws Error naming the first array that is missing or of another size; nothing has been changed then
 */
export function checkArrays(
  { arrays, step }: LoopState,
  params: object,
  optimizer: AdamWState<Tensor>,
  average: ReadonlyMap<string, Tensor> | null,
): CheckedArrays {
  const floats = (name: string, size: number): Float32Array => {
    const values = arrays.get(name);
    if (!(values instanceof Float32Array) || values.length !== size) {
      throw new Error(`training state: ${name} needs ${size} values, got ${values?.length ?? 'none'}`);
    }
    return values;
  };
  const tensors = new Map<string, Float32Array>();
  const rows = new Map<string, Int32Array>();
  const values: [Tensor, Float32Array][] = [];
  for (const [name, p] of leaves(params)) {
    values.push([p, floats(`p.${name}`, p.size)]);
    const averaged = average?.get(name);
    if (averaged) values.push([averaged, floats(`ema.${name}`, p.size)]);
    const lastStep = arrays.get(`lastStep.${name}`);
    if (lastStep instanceof Int32Array) {
      if (lastStep.length !== p.shape[0]) {
        throw new Error(`training state: lastStep.${name} needs ${p.shape[0]} values, got ${lastStep.length}`);
      }
      rows.set(name, lastStep);
    }
  }
  for (const [name, t] of optimizer.tensors) tensors.set(name, floats(name, t.size));
  const rates = arrays.get('rates');
  if (!(rates instanceof Float64Array) || rates.length !== step) {
    throw new Error(`training state: rates needs ${step} values, got ${rates?.length ?? 'none'}`);
  }
  return { values, optimizer: { rates, tensors, rows } };
}
