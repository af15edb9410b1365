/** @file Bits per byte of held-out text, of a model alone and with a memory beside it, in one pass. */
import { crossEntropy } from '@blt-ts/autograd';
import { release, scope, tensor } from '@blt-ts/tensor';
import type { MemoryMixture } from '../memory/memory-mixture.ts';
import { bltBatch } from '../model/batch.ts';
import { bltLogits } from '../model/blt.ts';
import type { BltConfig } from '../model/config.ts';
import type { BltParams } from '../model/parameters.ts';
import { batches, type Evaluation, type Progress, result, Tally, targetCount } from './evaluation.ts';
import type { EvaluationRow } from './evaluation-rows.ts';

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
  memory: MemoryMixture,
  options: { batchBytes?: number } = {},
): Promise<EvaluationWithMemory> => result(evaluatingWithMemory(params, rows, config, memory, options));

/** `evaluateWithMemory`, batch by batch: whoever drives it may stop between two of them. */
export async function* evaluatingWithMemory(
  params: BltParams,
  rows: readonly EvaluationRow[],
  config: BltConfig,
  memory: MemoryMixture,
  { batchBytes = 8192 }: { batchBytes?: number } = {},
): AsyncGenerator<Progress, EvaluationWithMemory> {
  const total = targetCount(rows);
  let done = 0;
  const backend = params.lm_head.weight.backend;
  const [alone, withMemory] = [new Tally(), new Tally()];
  for (const group of batches(rows, batchBytes)) {
    const targets = Int32Array.from(group.flatMap((r) => [...r.targets]));
    const [logits, losses] = scope(() => {
      const made = bltLogits(params, bltBatch(group, config, { backend }), config);
      return [made, crossEntropy(made, tensor(targets, undefined, { backend }))];
    });
    alone.add(await losses.read(), group);
    withMemory.add(mixedLosses((await logits.read()) as Float32Array, config.vocabSize, group, memory), group);
    release(losses);
    release(logits);
    done += targetCount(group);
    yield { done, total };
  }
  return { alone: alone.evaluation(), withMemory: withMemory.evaluation() };
}

/** Losses of the mixture, in nats. Targets that are not scored have been read before: theirs are 0. */
function mixedLosses(
  logits: Float32Array,
  vocabSize: number,
  rows: readonly EvaluationRow[],
  memory: MemoryMixture,
): Float64Array {
  const losses = new Float64Array(logits.length / vocabSize);
  let begin = 0;
  for (const { targets, scoredFrom } of rows) {
    for (let i = scoredFrom; i < targets.length; i++) {
      losses[begin + i] = memory.score(logits, vocabSize, targets[i], (begin + i) * vocabSize);
    }
    begin += targets.length;
  }
  return losses;
}
