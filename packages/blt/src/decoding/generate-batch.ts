/** @file Generation of several texts side by side, on one decoder. */
import { TooManyPatchesError } from '../errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { itemsAsync, itemsSync, type WithReadback } from '../readback.ts';
import { checkOptions, type GenerateOptions } from './generate.ts';
import { GrowingText } from './growing-text.ts';
import { RenewableDecoder } from './renewable-decoder.ts';

/** One byte of one of several sequences. */
export interface BatchByte {
  readonly sequence: number;
  readonly byte: number;
}

/**
 * Continues several prompts of different lengths side by side. Bytes come in rounds, sequence after sequence. A sequence that has ended
 * takes no more steps. Each draws from a random stream of its own, and that of sequence 0 is that of `generate`.
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
  const contextBytes = checkOptions(options, checkpoint.config);
  const { maxBytes, hashRows, onDone } = options;
  if (options.draftBytes) throw new RangeError('generateBatch: draftBytes is for one text; leave it out');
  if (options.memory) throw new RangeError('generateBatch: a memory is for one text; leave it out');
  if (prompts.length === 0 || maxBytes === 0) return;
  const texts = prompts.map((prompt, r) => new GrowingText(prompt, options, r));
  const decoders = new RenewableDecoder(checkpoint, { sequences: prompts.length, hashRows });
  let decoder = decoders.current;
  /** Ids of each text that are known but not read yet; at first all of them. */
  let unread: number[][] = texts.map(({ ids }) => ids);
  /** These texts forget their older half; all are read again. */
  const beginAnew = (forgetful: readonly GrowingText[]) => {
    decoders.retire();
    decoder = decoders.current;
    for (const text of forgetful) text.forget(contextBytes);
    unread = texts.map(({ ended, ids }) => (ended ? [] : ids));
  };
  try {
    while (texts.some(({ ended }) => !ended)) {
      const full = texts.filter(({ ids }) => ids.length > contextBytes);
      if (full.some(({ ended }) => !ended)) beginAnew(full);
      let logits: Float32Array[];
      try {
        logits = yield* decoder.feedSteps(unread);
      } catch (error) {
        if (!(error instanceof TooManyPatchesError)) throw error;
        const crowded = error.sequences.map((r) => texts[r]);
        if (crowded.some(({ ids }) => ids.length < 2)) throw error;
        beginAnew(crowded);
        continue;
      }
      unread = prompts.map(() => []);
      for (const [r, text] of texts.entries()) {
        if (text.ended) continue;
        const id = text.draw(logits[r]);
        const byte = text.add(id);
        if (byte !== null) yield { sequence: r, byte };
        if (!text.ended) unread[r] = [id];
      }
    }
  } finally {
    decoders.retire();
    onDone?.({ bytes: texts.reduce((n, { made }) => n + made, 0), ...decoders.counts });
  }
}
