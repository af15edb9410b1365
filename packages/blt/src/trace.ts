/** @file Outputs, loss and gradients of a checkpoint for given rows, as plain values. */
import { affine, leaves, mul, sum, valueAndGrad } from '@blt-ts/autograd';
import { type SafetensorsInput, scope, tensor } from '@blt-ts/tensor';
import { bltBatch } from './batch.ts';
import { layoutOptions } from './config.ts';
import { scoreEntropies } from './entropy-model.ts';
import type { Checkpoint } from './huggingface.ts';
import { bltLogits, bltLosses } from './model.ts';
import type { BltParams } from './parameters.ts';
import { modelPatchLengths } from './patching.ts';

/** Values of rows laid end to end, [rows, longest, width]: shorter rows are filled with zeros. */
function padded(values: Float32Array, rows: readonly Int32Array[], width: number): Float32Array {
  const longest = Math.max(...rows.map((row) => row.length));
  const out = new Float32Array(rows.length * longest * width);
  let at = 0;
  rows.forEach((row, r) => {
    out.set(values.subarray(at, at + row.length * width), r * longest * width);
    at += row.length * width;
  });
  return out;
}

export interface Trace {
  /** `entropies` [R, S] (models with an entropy model), `logits` [R, S, vocab], `grads.<tensor>`; shorter rows end in zeros. */
  readonly tensors: readonly (readonly [string, SafetensorsInput])[];
  /** Mean cross-entropy of the next id over all positions that have one, nats; null where none has. */
  readonly loss: number | null;
  /** Next token included. */
  readonly patchLengths: readonly Int32Array[];
}

/**
 * What a model makes of given rows of ids: everything that another implementation can be compared by.
 * @param grads also the gradient of the mean loss for every tensor of the latent transformer
 */
export function traceCheckpoint(
  { config, params, patcher }: Checkpoint,
  rows: readonly Int32Array[],
  { grads = false }: { grads?: boolean } = {},
): Trace {
  const { backend } = params.lm_head.weight;
  const entropies = patcher
    ? scoreEntropies(patcher, rows, config.patcher!, { ...layoutOptions(config), backend })
    : null;
  const patchLengths = rows.map((ids, r) => modelPatchLengths(ids, entropies?.[r] ?? null, config.patching));
  const batch = bltBatch(
    rows.map((ids, r) => ({ ids, patchLengths: patchLengths[r] })),
    config,
    { backend },
  );
  const longest = Math.max(...rows.map((row) => row.length));
  const tensors: [string, SafetensorsInput][] = [];
  const put = (name: string, shape: readonly number[], data: Float32Array) =>
    tensors.push([name, { dtype: 'F32', shape: [...shape], data }]);
  if (entropies) {
    const all = Float32Array.from(entropies.flatMap((H) => [...H]));
    put('entropies', [rows.length, longest], padded(all, rows, 1));
  }
  const logits = scope(() => bltLogits(params, batch, config).readSync() as Float32Array);
  put('logits', [rows.length, longest, config.vocabSize], padded(logits, rows, config.vocabSize));

  // Each row's last prediction has no target; the mean is over all others, as transformers takes it for labels = input_ids.
  const targets = Int32Array.from(rows.flatMap((row) => [...row.subarray(1), 0]));
  const counted = rows.reduce((n, row) => n + row.length - 1, 0);
  const mask = Float32Array.from(rows.flatMap((row) => [...row].map((_, i) => (i + 1 < row.length ? 1 : 0))));
  const meanLoss = (p: BltParams) =>
    affine(sum(mul(bltLosses(p, batch, targets, config), tensor(mask, undefined, { backend }))), 1 / counted);
  let loss: number | null = null;
  if (counted > 0 && grads) {
    scope(() => {
      const { value, grads: found } = valueAndGrad(meanLoss)(params);
      loss = value.item();
      for (const [name, g] of leaves(found)) put(`grads.${name}`, g.shape, g.readSync() as Float32Array);
    });
  } else if (counted > 0) {
    loss = scope(() => meanLoss(params).item());
  }
  return { tensors, loss, patchLengths };
}
