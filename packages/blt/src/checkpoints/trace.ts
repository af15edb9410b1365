/** @file Outputs, loss and gradients of a checkpoint for given rows, as plain values. */

import { affine, leaves, mul, sum, valueAndGrad } from '@blt-ts/autograd';
import { forEachTensor, release, type SafetensorsInput, scope, tensor } from '@blt-ts/tensor';
import { ConfigError } from '../errors.ts';
import { bltBatch } from '../model/batch.ts';
import { bltLogits, bltLosses } from '../model/blt.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { layoutOptions, longestText } from '../model/config.ts';
import { scoreEntropiesSteps } from '../model/entropy-model.ts';
import type { BltParams } from '../model/parameters.ts';
import { modelPatchLengths } from '../patching/boundaries.ts';
import { runAsync, runSync, type WithReadback } from '../readback.ts';

/** Values of rows laid end to end, [rows, longest, width]: shorter rows are filled with zeros. */
function padded(values: Float32Array, rows: readonly Int32Array[], width: number): Float32Array {
  const longest = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const out = new Float32Array(rows.length * longest * width);
  let at = 0;
  rows.forEach((row, r) => {
    out.set(values.subarray(at, at + row.length * width), r * longest * width);
    at += row.length * width;
  });
  return out;
}

/** The values of one forward pass, for comparison with another program. */
export interface Trace {
  /** `entropies` [R, S] (models with an entropy model), `logits` [R, S, vocab], `grads.<tensor>`; shorter rows end in zeros. */
  readonly tensors: readonly (readonly [string, SafetensorsInput])[];
  /** Mean cross-entropy of the next id over all positions that have one, nats; null where none has. */
  readonly loss: number | null;
  /** Next token included. */
  readonly patchLengths: readonly Int32Array[];
}

/** Options of `traceCheckpoint`. */
export interface TraceOptions {
  /** Also the gradient of the mean loss for every tensor of the latent transformer. */
  readonly grads?: boolean;
}

/**
 * Entropies, logits, loss and gradients of a model for given rows of ids, to compare another implementation with.
 * @throws ConfigError if a row is longer than the model takes
 * @throws Error on a backend whose values must be waited for: use `traceCheckpointAsync`
 */
export function traceCheckpoint(
  checkpoint: Checkpoint,
  rows: readonly Int32Array[],
  options: TraceOptions = {},
): Trace {
  return runSync(traceSteps(checkpoint, rows, options));
}

/** `traceCheckpoint` on any backend. */
export function traceCheckpointAsync(
  checkpoint: Checkpoint,
  rows: readonly Int32Array[],
  options: TraceOptions = {},
): Promise<Trace> {
  return runAsync(traceSteps(checkpoint, rows, options));
}

function* traceSteps(
  { config, params, patcher }: Checkpoint,
  rows: readonly Int32Array[],
  { grads = false }: TraceOptions,
): WithReadback<Trace> {
  const { backend } = params.lm_head.weight;
  // A row is traced whole or not at all: cut, it would have other values than elsewhere.
  const tooLong = rows.findIndex((row) => row.length > longestText(config));
  if (tooLong !== -1) {
    throw new ConfigError(
      `trace: row ${tooLong} has ${rows[tooLong].length} ids, the model reads at most ${longestText(config)}; cut it into shorter rows`,
    );
  }
  const entropies = patcher
    ? yield* scoreEntropiesSteps(patcher, rows, config.patcher!, { ...layoutOptions(config), backend })
    : null;
  const patchLengths = rows.map((ids, r) => modelPatchLengths(ids, entropies?.[r] ?? null, config.patching));
  const patched = rows.map((ids, r) => ({ ids, patchLengths: patchLengths[r] }));
  const longest = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const tensors: [string, SafetensorsInput][] = [];
  const put = (name: string, shape: readonly number[], data: Float32Array) =>
    tensors.push([name, { dtype: 'F32', shape: [...shape], data }]);
  if (entropies) {
    const all = Float32Array.from(entropies.flatMap((H) => [...H]));
    put('entropies', [rows.length, longest], padded(all, rows, 1));
  }
  const logits = yield scope(() => bltLogits(params, bltBatch(patched, config, { backend }), config));
  put('logits', [rows.length, longest, config.vocabSize], padded(logits, rows, config.vocabSize));

  // Each row's last prediction has no target; the mean is over all others, as transformers takes it for labels = input_ids.
  const targets = Int32Array.from(rows.flatMap((row) => [...row.subarray(1), 0]));
  const counted = rows.reduce((n, row) => n + row.length - 1, 0);
  const mask = Float32Array.from(rows.flatMap((row) => [...row].map((_, i) => (i + 1 < row.length ? 1 : 0))));
  const meanLoss = (p: BltParams) => {
    const losses = bltLosses(p, bltBatch(patched, config, { backend }), targets, config);
    return affine(sum(mul(losses, tensor(mask, undefined, { backend }))), 1 / counted);
  };
  let loss: number | null = null;
  if (counted > 0 && grads) {
    const found = scope(() => {
      const { value, grads } = valueAndGrad(meanLoss)(params);
      return { value, grads: leaves(grads) };
    });
    try {
      [loss] = yield found.value;
      for (const [name, g] of found.grads) put(`grads.${name}`, g.shape, yield g);
    } finally {
      forEachTensor(found, release);
    }
  } else if (counted > 0) {
    [loss] = yield scope(() => meanLoss(params));
  }
  return { tensors, loss, patchLengths };
}
