/** @file Bytes cut into patches by a model, with their entropies. */
import {
  type Checkpoint,
  encode,
  layoutOptions,
  type PatchingOptions,
  patchLengths,
  scoreEntropiesAsync,
} from '@blt-ts/blt';
import type { PatchedBytes } from './entropy-strip.ts';
import { thresholdLine } from './patching-rule.ts';

/**
 * Cuts bytes as the model would, and says by which entropies. The beginning-of-text token, a patch of its own, is left out of
 * the result.
 */
export async function patchBytes(
  bytes: Uint8Array,
  checkpoint: Checkpoint | null,
  patching?: PatchingOptions,
): Promise<PatchedBytes> {
  const options = patching ?? checkpoint!.config.patching;
  const ids = encode(bytes, { bos: true, eos: false });
  let entropies: Float32Array | null = null;
  if (checkpoint?.patcher && checkpoint.config.patcher) {
    [entropies] = await scoreEntropiesAsync(checkpoint.patcher, [ids], checkpoint.config.patcher, {
      ...layoutOptions(checkpoint.config),
      backend: checkpoint.patcher.lm_head.weight.backend,
    });
  }
  const [first, ...rest] = patchLengths(ids, entropies, options, { includeNextToken: false });
  const lengths = first > 1 ? [first - 1, ...rest] : rest;
  return {
    bytes: [...bytes],
    patchLengths: lengths,
    // Entropy i was made after token i, about token i+1, which is byte i.
    entropies: entropies ? [...entropies.subarray(0, bytes.length)] : undefined,
    threshold: thresholdLine(options),
  };
}
