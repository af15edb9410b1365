/** @file Generation, byte by byte, on the incremental decoder. */

import { scope } from '@blt-ts/tensor';
import { TooManyPatchesError } from '../errors.ts';
import type { MemoryMixture } from '../memory/memory-mixture.ts';
import { bltBatch } from '../model/batch.ts';
import { bltLogits } from '../model/blt.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type BltConfig, layoutOptions, longestText } from '../model/config.ts';
import { scoreEntropiesSteps } from '../model/entropy-model.ts';
import { modelPatchLengths } from '../patching/boundaries.ts';
import { BYTE_OFFSET } from '../patching/vocabulary.ts';
import { itemsAsync, itemsSync, runAsync, runSync, type WithReadback } from '../readback.ts';
import { GrowingText, type TextOptions } from './growing-text.ts';
import type { HashRows } from './model-steps.ts';
import { RenewableDecoder } from './renewable-decoder.ts';
import { validateSampling } from './sampling.ts';
import { copyDraft, DraftLength, speculate } from './speculate.ts';

/** Options of `generate`. */
export interface GenerateOptions extends TextOptions {
  /**
   * Most ids the model reads (default 512, or all it takes if that is less). The oldest half is dropped when it is full, and also when the
   * ids make more patches than the global transformer has positions for.
   */
  readonly contextBytes?: number;
  /**
   * Most bytes drafted ahead, past the end of the patch, before one pass of the whole model checks them (default 0 = off): copied from
   * earlier text that went the same way, or else made by the local models. The text is the same with and without. @see Fast BLT
   * (2026), BLT-S
   */
  readonly draftBytes?: number;
  /** A memory whose prediction is mixed with the model's. It reads the prompt and what is made. Not with drafts. */
  readonly memory?: MemoryMixture;
  /** Reads rows of hash tables that are not in memory; see `DecoderOptions`. */
  readonly hashRows?: HashRows;
  /** Receives the counts of what ran, when generation ends. */
  readonly onDone?: (counts: GenerateCounts) => void;
}

/** How much work a generation was. */
export interface GenerateCounts {
  /** Bytes made. */
  readonly bytes: number;
  /** Steps of the global model, those of the prompt included: one for every patch (more where drafts were rejected). */
  readonly globalSteps: number;
  /** Bytes read by the whole model. */
  readonly byteSteps: number;
}

/**
 * Logits for the byte after `ids`, from the whole text at once, as Hugging Face's `generate` without a cache computes them: the
 * definition that the incremental decoder is tested against.
 */
export function nextByteLogits(checkpoint: Checkpoint, ids: Int32Array): Float32Array {
  return runSync(nextByteLogitsSteps(checkpoint, ids));
}

/** `nextByteLogits` on any backend. */
export function nextByteLogitsAsync(checkpoint: Checkpoint, ids: Int32Array): Promise<Float32Array> {
  return runAsync(nextByteLogitsSteps(checkpoint, ids));
}

function* nextByteLogitsSteps({ config, params, patcher }: Checkpoint, ids: Int32Array): WithReadback<Float32Array> {
  const { backend } = params.lm_head.weight;
  let entropies: Float32Array | null = null;
  if (config.patching.mode === 'entropy') {
    const options = { ...layoutOptions(config), backend };
    [entropies] = yield* scoreEntropiesSteps(patcher!, [ids], config.patcher!, options);
  }
  const patchLengths = modelPatchLengths(ids, entropies, config.patching);
  const logits = yield scope(() => bltLogits(params, bltBatch([{ ids, patchLengths }], config, { backend }), config));
  return logits.slice((ids.length - 1) * config.vocabSize);
}

/** @returns the most ids the model is to read   @throws RangeError naming an option that is out of range */
export function checkOptions(options: GenerateOptions, config: BltConfig): number {
  const longest = longestText(config);
  const { maxBytes, contextBytes = Math.min(512, longest), draftBytes = 0 } = options;
  validateSampling(options);
  if (!Number.isInteger(maxBytes) || maxBytes < 0) {
    throw new RangeError(`generate: maxBytes must be a whole number >= 0, got ${maxBytes}`);
  }
  if (!Number.isInteger(contextBytes) || contextBytes < 2) {
    throw new RangeError(`generate: contextBytes must be a whole number >= 2, got ${contextBytes}`);
  }
  if (contextBytes > longest) {
    throw new RangeError(`generate: contextBytes ${contextBytes} is more than the ${longest} positions the model has`);
  }
  if (!Number.isInteger(draftBytes) || draftBytes < 0 || draftBytes >= contextBytes / 2) {
    throw new RangeError(
      `generate: draftBytes must be a whole number >= 0 below half of contextBytes ${contextBytes}, got ${draftBytes}`,
    );
  }
  if (options.memory && draftBytes > 0) {
    throw new RangeError(`generate: draftBytes ${draftBytes} is for the model alone; leave it out, or the memory`);
  }
  return contextBytes;
}

/** Draws the next id, with a memory from the mixture, which then learns from it. */
function drawNext(text: GrowingText, logits: Float32Array, memory: MemoryMixture | undefined): number {
  if (!memory) return text.draw(logits);
  const id = text.draw(memory.logProbabilities(logits));
  memory.score(logits, logits.length, id);
  return id;
}

/** Lets a memory read what it has not predicted. */
function readPrompt(memory: MemoryMixture | undefined, ids: readonly number[]): void {
  if (memory) for (const id of ids) if (id >= BYTE_OFFSET) memory.read(id - BYTE_OFFSET);
}

/**
 * Continues a prompt, one byte at a time. Ends after `maxBytes`, at the end of the document (EOS), or after `stop`.
 * `for (const byte of generate(...))`, or `for await` where something else should run between bytes.
 * @param prompt text or bytes; may be empty
 * @throws RangeError for impossible options, Error on a backend whose values must be waited for: use `generateAsync`
 */
export function* generate(
  checkpoint: Checkpoint,
  prompt: string | Uint8Array,
  options: GenerateOptions,
): Generator<number, void> {
  yield* itemsSync(generateSteps(checkpoint, prompt, options));
}

/** `generate` on any backend: `for await (const byte of generateAsync(...))`. */
export async function* generateAsync(
  checkpoint: Checkpoint,
  prompt: string | Uint8Array,
  options: GenerateOptions,
): AsyncGenerator<number, void> {
  yield* itemsAsync(generateSteps(checkpoint, prompt, options));
}

function* generateSteps(
  checkpoint: Checkpoint,
  prompt: string | Uint8Array,
  options: GenerateOptions,
): WithReadback<void, number> {
  const contextBytes = checkOptions(options, checkpoint.config);
  const { maxBytes, draftBytes = 0, hashRows, onDone, memory } = options;
  const text = new GrowingText(prompt, options);
  readPrompt(memory, text.ids);
  const decoders = new RenewableDecoder(checkpoint, { hashRows });
  const [drafts, copies] = [new DraftLength(draftBytes), new DraftLength(draftBytes)];
  try {
    /** Ids that are known but not read yet; at first all of them. */
    let unread = text.ids;
    /** The next patches are the last that the global transformer has positions for. */
    let nearlyFull = false;
    while (!text.ended) {
      if (text.ids.length > contextBytes) {
        // Begin anew with the newer half, as if it were the whole text.
        decoders.retire();
        text.forget(contextBytes);
        unread = text.ids;
        nearlyFull = false;
      }
      const decoder = decoders.current;
      const copy = unread.length === 1 && draftBytes > 1 ? copyDraft(text.ids, draftBytes - 1) : [];
      const lengths = copy.length > 0 ? copies : drafts;
      const drafting = unread.length === 1 && !nearlyFull ? lengths.next() : 1;
      const room = Math.min(drafting, contextBytes - text.ids.length, maxBytes - text.made);
      let next: number[];
      try {
        if (room > 1) {
          next = yield* speculate(decoder, unread[0], room, copy, (logits, n) => text.draw(logits, n));
          lengths.learn(room, next.length);
        } else {
          const [logits] = yield* decoder.feedSteps([unread]);
          next = [drawNext(text, logits, memory)];
        }
      } catch (error) {
        if (!(error instanceof TooManyPatchesError) || text.ids.length < 2) throw error;
        decoders.retire();
        // Patches of a draft alone must not shorten the context: the text is the same with and without drafts.
        nearlyFull = room > 1;
        if (!nearlyFull) text.forget(contextBytes);
        unread = text.ids;
        continue;
      }
      for (const id of next) {
        const byte = text.add(id);
        if (byte !== null) yield byte;
        if (text.ended) return;
      }
      unread = next.slice(-1);
    }
  } finally {
    decoders.retire();
    onDone?.({ bytes: text.made, ...decoders.counts });
  }
}
