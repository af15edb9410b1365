/** @file Bits per byte of held-out text, of a model alone and with a memory beside it, in one pass. */
import { crossEntropy } from '@blt-ts/autograd';
import { release, scope, tensor } from '@blt-ts/tensor';
import type { MixedLosses } from '../memory/memory-mixture.ts';
import { bltBatch } from '../model/batch.ts';
import { bltLogits } from '../model/blt.ts';
import type { BltConfig } from '../model/config.ts';
import type { BltParams } from '../model/parameters.ts';
import { batches, type Evaluation, type Progress, result, Tally, targetCount } from './evaluation.ts';
import { type EvaluationRow, scoredIds } from './evaluation-rows.ts';

/** Two figures of the same bytes. The first is that of `evaluateBlt`, bit for bit. */
export interface EvaluationWithMemory {
  readonly alone: Evaluation;
  readonly withMemory: Evaluation;
}

/**
 * Bits per byte of the latent transformer on held-out rows, alone and with a memory. The memory reads each byte after it was predicted
 * and goes on learning, so a text that repeats itself gets cheaper. Rows must be in the order of the text, as `evaluationRows` gives them;
 * how many are computed at once changes nothing.
 * @throws RangeError if no scored target is a byte, NonFiniteError if a loss is not a number
 */
export const evaluateWithMemory = (
  params: BltParams,
  rows: readonly EvaluationRow[],
  config: BltConfig,
  memory: MixedLosses,
  options: { batchBytes?: number } = {},
): Promise<EvaluationWithMemory> => result(evaluatingWithMemory(params, rows, config, memory, options));

/**
 * `evaluateWithMemory`, batch by batch: whoever drives it may stop between two of them. The network goes on to the next batch while a memory
 * in another thread mixes the last one.
 */
export async function* evaluatingWithMemory(
  params: BltParams,
  rows: readonly EvaluationRow[],
  config: BltConfig,
  memory: MixedLosses,
  { batchBytes = 8192 }: { batchBytes?: number } = {},
): AsyncGenerator<Progress, EvaluationWithMemory> {
  const total = targetCount(rows);
  let done = 0;
  const backend = params.lm_head.weight.backend;
  const [alone, withMemory] = [new Tally(), new Tally()];
  let mixing = Promise.resolve();
  for (const group of batches(rows, batchBytes)) {
    const targets = Int32Array.from(group.flatMap((r) => [...r.targets]));
    const [logits, losses] = scope(() => {
      const made = bltLogits(params, bltBatch(group, config, { backend }), config);
      return [made, crossEntropy(made, tensor(targets, undefined, { backend }))];
    });
    alone.add(await losses.read(), group);
    const mixed = memory.losses((await logits.read()) as Float32Array, config.vocabSize, scoredIds(group));
    const before = mixing;
    mixing = Promise.all([mixed, before]).then(([found]) => withMemory.add(found, group));
    // A failure is thrown where it is awaited; without this line it would be an unhandled rejection.
    mixing.catch(() => {});
    await before;
    release(losses);
    release(logits);
    done += targetCount(group);
    yield { done, total };
  }
  await mixing;
  return { alone: alone.evaluation(), withMemory: withMemory.evaluation() };
}
