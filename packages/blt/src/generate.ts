/** @file Generation, byte by byte. Every byte recomputes the whole context: simple, and the definition for anything faster. */
import { Random, scope, type Tensor } from '@blt-ts/tensor';
import { bltBatch } from './batch.ts';
import { layoutOptions } from './config.ts';
import { scoreEntropies } from './entropy-model.ts';
import type { Checkpoint } from './huggingface.ts';
import { bltLogits } from './model.ts';
import { modelPatchLengths } from './patching.ts';
import { type SamplingOptions, sampleLogits, validateSampling } from './sampling.ts';
import { BOE, BOS, BPE, BYTE_OFFSET, EOS, encode } from './vocabulary.ts';

export interface GenerateOptions extends SamplingOptions {
  readonly maxBytes: number;
  /** Seed of the sampling (default 0): same seed, same text. */
  readonly seed?: number;
  /** Ends when the text generated so far ends with these bytes; they are part of the output. */
  readonly stop?: Uint8Array | null;
  /** Go on after the model says that the document ends (default false). */
  readonly ignoreEos?: boolean;
  /** Most ids the model reads (default 512); the oldest half is dropped when it is full. */
  readonly contextBytes?: number;
}

/** Logits for the byte after `ids`, as Hugging Face's `generate` without a cache computes them. */
export function nextByteLogits({ config, params, patcher }: Checkpoint, ids: Int32Array): Float32Array {
  return scope(() => {
    const backend = params.lm_head.weight.backend;
    const entropies =
      config.patching.mode === 'entropy'
        ? scoreEntropies(patcher!, [ids], config.patcher!, { ...layoutOptions(config), backend })[0]
        : null;
    const patchLengths = modelPatchLengths(ids, entropies, config.patching);
    const logits: Tensor = bltLogits(params, bltBatch([{ ids, patchLengths }], config, { backend }), config);
    return (logits.readSync() as Float32Array).slice((ids.length - 1) * config.vocabSize);
  });
}

/**
 * Continues a prompt, one byte at a time. Ends after `maxBytes`, at the end of the document (EOS), or after `stop`.
 * @param prompt text or bytes; may be empty
 * @throws RangeError for impossible sampling options
 */
export function* generate(
  checkpoint: Checkpoint,
  prompt: string | Uint8Array,
  options: GenerateOptions,
): Generator<number> {
  const { maxBytes, seed = 0, stop = null, ignoreEos = false, contextBytes = 512 } = options;
  validateSampling(options);
  if (!Number.isInteger(maxBytes) || maxBytes < 0) {
    throw new RangeError(`generate: maxBytes must be a whole number >= 0, got ${maxBytes}`);
  }
  if (!Number.isInteger(contextBytes) || contextBytes < 2) {
    throw new RangeError(`generate: contextBytes must be a whole number >= 2, got ${contextBytes}`);
  }
  const random = new Random(seed);
  let ids = [...encode(prompt, { bos: true, eos: false })];
  const tail: number[] = [];
  for (let made = 0; made < maxBytes; made++) {
    if (ids.length > contextBytes) ids = ids.slice(-Math.ceil(contextBytes / 2));
    const logits = nextByteLogits(checkpoint, Int32Array.from(ids));
    for (const special of [BOE, BOS, BPE]) logits[special] = Number.NEGATIVE_INFINITY;
    if (ignoreEos) logits[EOS] = Number.NEGATIVE_INFINITY;
    const id = sampleLogits(logits, options, () => random.uniform());
    if (id === EOS) return;
    ids.push(id);
    yield id - BYTE_OFFSET;
    if (stop && stop.length > 0) {
      tail.push(id - BYTE_OFFSET);
      if (tail.length > stop.length) tail.shift();
      if (tail.length === stop.length && tail.every((b, i) => b === stop[i])) return;
    }
  }
}
