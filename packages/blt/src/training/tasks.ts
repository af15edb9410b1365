/** @file The two tasks of a run: the entropy model predicts the next byte of rows of bytes, the latent transformer that of rows of patches. */
import { crossEntropy } from '@blt-ts/autograd';
import { type Backend, tensor } from '@blt-ts/tensor';
import { HASH_TABLE } from '../checkpoints/stored-tensors.ts';
import { type BltBatch, type ByteBatch, bltBatch, byteBatch } from '../model/batch.ts';
import { bltLosses } from '../model/blt.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { entropyModelLogits } from '../model/entropy-model.ts';
import type { BltParams, EntropyModelParams } from '../model/parameters.ts';
import type { ByteRow } from './data-loader.ts';
import type { Task } from './one-pass.ts';
import type { TrainingRow } from './packing.ts';
import { concatInts } from './warm-start.ts';

/** A task in words that can be posted to another thread. */
export interface TaskName {
  readonly model: 'entropy model' | 'latent transformer';
  /** Of the whole model, with the calibrated threshold where there is one. */
  readonly config: BltConfig;
  readonly recompute?: boolean;
}

/** A batch with what is to be predicted. */
interface Predicted<Batch> {
  readonly targets: Int32Array;
  readonly batch: Batch;
}

const targetsOf = (rows: readonly { readonly targets: Int32Array }[]): Int32Array =>
  concatInts(rows.map((r) => r.targets));

/** Next-byte cross-entropy of an entropy model. */
export function entropyModelTask(
  config: BltConfig,
  backend: Backend,
): Task<EntropyModelParams, ByteRow, Predicted<ByteBatch>> {
  const options = { ...layoutOptions(config), backend };
  const c = config.patcher!;
  return {
    batch: (rows) => ({
      targets: targetsOf(rows),
      batch: byteBatch(
        rows.map((r) => r.ids),
        c,
        options,
      ),
    }),
    losses: (params, { targets, batch }, dropout) =>
      crossEntropy(entropyModelLogits(params, batch, c, dropout), tensor(targets, undefined, { backend })),
  };
}

/** Cross-entropy of the byte that follows each byte of rows of patches. */
export function modelTask(
  config: BltConfig,
  recompute: boolean,
  backend: Backend,
): Task<BltParams, TrainingRow, Predicted<BltBatch>> {
  return {
    batch: (rows) => ({ targets: targetsOf(rows), batch: bltBatch(rows, config, { backend, recompute }) }),
    losses: (params, { targets, batch }, dropout) => bltLosses(params, batch, targets, config, dropout),
    reads: ({ batch }) => new Map(batch.hashIds ? [[HASH_TABLE, batch.hashIds]] : []),
  };
}

/** The task of that name. */
export const taskOf = (
  { model, config, recompute = false }: TaskName,
  backend: Backend,
): Task<never, never, unknown> =>
  model === 'entropy model' ? entropyModelTask(config, backend) : modelTask(config, recompute, backend);
