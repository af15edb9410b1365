/** @file The warm start of a run: weights trained before, and entropies and patches made before. */
import { leaves as namedLeaves } from '@blt-ts/autograd';
import { formatShape, sameShape, toFloat32 } from '@blt-ts/tensor';
import type { StoredTensors } from '../checkpoints/stored-tensors.ts';
import { ConfigError } from '../errors.ts';
import type { EntropyModelParams } from '../model/parameters.ts';

/** Pretrained weights that a run starts from: where they lay, and the hash that says that they are the same. */
export interface WeightSource {
  /** For people: a folder. */
  readonly source: string;
  readonly sha256: string;
}

/** Weights trained before. */
export interface Pretrained {
  /** The tensors of `plan.globalOrigin`. */
  readonly llama?: StoredTensors;
  /** Those of `plan.entropyOrigin`, with or without the prefix `model.patcher.`. */
  readonly entropyModel?: StoredTensors;
}

/** Work on the corpus that was done before. */
export interface Precomputed {
  /** Entropies of each document, nats: they are not computed again. */
  readonly entropies?: PerDocument<Float32Array> | null;
  /** Patch lengths of each document (includeNextToken: false), cut as the plan says. */
  readonly patches?: PerDocument<Int32Array> | null;
}

/** Inputs of a run besides plan and corpus. A run that is restored after its patches were made needs none of them. */
export interface WarmStart extends Pretrained, Precomputed {}

/** One array for each document of a corpus. */
export interface PerDocument<T> {
  readonly train: readonly T[];
  readonly heldOut: readonly T[];
}

/** Overwrites an entropy model with stored weights, named with or without `model.patcher.`. @throws ConfigError naming the first tensor that does not fit */
export function loadEntropyModel(patcher: EntropyModelParams, stored: StoredTensors): void {
  for (const [name, t] of namedLeaves(patcher)) {
    // A whole checkpoint has an lm_head of its own beside that of the patcher.
    const found = stored.get(`model.patcher.${name}`) ?? stored.get(name);
    if (!found || !sameShape(found.shape, t.shape)) {
      throw new ConfigError(
        `the entropy model's ${name} is ${found ? formatShape(found.shape) : 'missing'}, ${formatShape(t.shape)} is needed`,
      );
    }
    t.assign(toFloat32({ dtype: found.dtype, shape: [...found.shape], data: found.read() }, name));
  }
}

/** The arrays, if there is one for each document and of its length. */
export function fitting<T extends Float32Array>(arrays: readonly T[], documents: readonly Int32Array[], what: string) {
  const bad = documents.findIndex((ids, i) => arrays[i]?.length !== ids.length);
  if (bad >= 0 || arrays.length !== documents.length) {
    throw new ConfigError(
      `${what} do not fit: ${arrays.length} arrays for ${documents.length} documents, or another length`,
    );
  }
  return arrays;
}

/** Patch lengths laid end to end, back to one array per document. */
export function splitPatches(all: unknown, documents: readonly Int32Array[], what: string): Int32Array[] {
  if (!(all instanceof Int32Array)) throw new Error(`${what} is missing`);
  let at = 0;
  const split = documents.map((ids, i) => {
    const from = at;
    let sum = 0;
    while (sum < ids.length && at < all.length && all[at] >= 1) sum += all[at++];
    if (sum !== ids.length)
      throw new Error(`${what} does not fit document ${i}: it covers ${sum} of ${ids.length} ids`);
    return all.slice(from, at);
  });
  if (at !== all.length) throw new Error(`${what} has ${all.length - at} patches too many for this corpus`);
  return split;
}

/** Arrays laid end to end. */
export function concatInts(arrays: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(arrays.reduce((n, a) => n + a.length, 0));
  let at = 0;
  for (const a of arrays) {
    all.set(a, at);
    at += a.length;
  }
  return all;
}
