/** @file Our models in transformers: how to write them for it, and the values it computes differently. */
import type { BltConfig } from '../model/config.ts';
import { HASH_TABLE, type StoredTensors } from './stored-tensors.ts';

/**
 * A checkpoint in a form that transformers opens to the same logits. It has no models without n-gram tables (an empty list of sizes means
 * its default ones): such a model gets a table of one row of zeros.
 */
export function forTransformers(
  config: BltConfig,
  stored: StoredTensors,
): { config: BltConfig; stored: StoredTensors } {
  if (config.hash.groupSizes.length > 0) return { config, stored };
  const width = config.encoder.hiddenSize;
  const zeros = new Uint8Array(4 * width);
  const read = (begin = 0, end = zeros.length) => zeros.subarray(begin, end);
  const table = { dtype: 'F32', shape: [1, width], bytes: zeros.length, read } as const;
  return {
    config: { ...config, hash: { groupSizes: [3], functions: 1, vocab: 1 } },
    stored: new Map([...stored, [HASH_TABLE, table]]),
  };
}

/** Differences in transformers' results for a model of this configuration, one sentence each. */
export function transformersDiffers({ behaviour, window, encoder, patching }: BltConfig): string[] {
  const entropy = patching.mode === 'entropy';
  return [
    ...(patching.mode === 'byte' || (entropy && !patching.monotonic && patching.thresholdAdd == null)
      ? []
      : [`it does not know patches by ${entropy ? 'rises of the entropy' : patching.mode} and cuts otherwise`]),
    ...(patching.maxPatchLength == null
      ? []
      : ['with a longest patch, its prediction after the last byte of a row may rest on one patch less']),
    ...(behaviour === 'facebook' && window !== null
      ? [`it has no local window: the same up to ${window} bytes a row, and one document a row`]
      : []),
    ...(behaviour === 'facebook' && encoder.crossAttnAllLayers && encoder.numHiddenLayers > 1
      ? ['its encoder pools anew before each cross-attention: other logits']
      : []),
  ];
}
