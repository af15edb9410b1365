/** @file A small model for tests of the server. It has learnt nothing. */
import type { Checkpoint } from '@blt-ts/blt';
import { createReferenceBackend } from '@blt-ts/tensor';
import { smallModel } from './small-model.ts';

const stack = {
  hiddenSize: 8,
  numHiddenLayers: 1,
  numAttentionHeads: 2,
  numKeyValueHeads: 1,
  intermediateSize: 8,
  maxPositionEmbeddings: 512,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
};
/** In 64 bits, where a neighbour in the batch changes no byte. */
export const servedModel = smallModel(
  {
    behaviour: 'facebook',
    window: 64,
    vocabSize: 260,
    encoder: { ...stack, crossAttnAllLayers: true },
    decoder: { ...stack, crossAttnAllLayers: true },
    global: { ...stack, hiddenSize: 16 },
    patcher: stack,
    crossAttnK: 2,
    hash: { groupSizes: [3], functions: 1, vocab: 40 },
    patching: { mode: 'entropy', threshold: 5.5, monotonic: false, thresholdAdd: null, maxPatchLength: 8 },
  },
  7,
  createReferenceBackend({ precision: 'f64' }),
) as Checkpoint;
