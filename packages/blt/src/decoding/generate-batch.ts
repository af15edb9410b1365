/** @file Generation of several texts side by side, on one decoder. */
import type { Checkpoint } from '../model/checkpoint.ts';
import { itemsAsync, itemsSync, type WithReadback } from '../readback.ts';
import { ContinuousBatch } from './continuous-batch.ts';
import { checkOptions, type GenerateOptions } from './generate.ts';

/** One byte of one of several sequences. */
export interface BatchByte {
  readonly sequence: number;
  readonly byte: number;
}

/**
 * Continues several prompts of different lengths side by side. Bytes come in rounds, sequence after sequence. A sequence that has ended
 * takes no more steps, and one that is too long for the context is read again alone. Each draws from a random stream of its own, and that of sequence 0 is that of `generate`.
 * @throws RangeError for impossible options, or drafts, which only single sequences have
 */
export function* generateBatch(
  checkpoint: Checkpoint,
  prompts: readonly (string | Uint8Array)[],
  options: GenerateOptions,
): Generator<BatchByte, void> {
  yield* itemsSync(generateBatchSteps(checkpoint, prompts, options));
}

/** `generateBatch` on any backend. */
export async function* generateBatchAsync(
  checkpoint: Checkpoint,
  prompts: readonly (string | Uint8Array)[],
  options: GenerateOptions,
): AsyncGenerator<BatchByte, void> {
  yield* itemsAsync(generateBatchSteps(checkpoint, prompts, options));
}

function* generateBatchSteps(
  checkpoint: Checkpoint,
  prompts: readonly (string | Uint8Array)[],
  options: GenerateOptions,
): WithReadback<void, BatchByte> {
  checkOptions(options, checkpoint.config);
  const { maxBytes, contextBytes, hashRows, onDone } = options;
  if (options.draftBytes) throw new RangeError('generateBatch: draftBytes is for one text; leave it out');
  if (options.memory) throw new RangeError('generateBatch: a memory is for one text; leave it out');
  if (prompts.length === 0 || maxBytes === 0) return;
  const places = prompts.length;
  const batch = new ContinuousBatch(checkpoint, { places, contextBytes, hashRows });
  let bytes = 0;
  try {
    const sequences = new Map(prompts.map((prompt, r) => [batch.add(prompt, options, r), r]));
    while (batch.size > 0) {
      for (const { text, byte } of yield* batch.roundSteps()) {
        if (byte === null) continue;
        bytes++;
        yield { sequence: sequences.get(text)!, byte };
      }
    }
  } finally {
    const { counts } = batch;
    batch.release();
    onDone?.({ bytes, ...counts });
  }
}
