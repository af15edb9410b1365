/** @file How a model learns where the options do not say: rates of the two optimisers, weight decay, dropout. Measured in docs/laboratory/learning.md. */
import { COPIED_BLOCKS, COPIED_LR_SCALE } from '../checkpoints/from-llama.ts';
import { HASH_TABLE } from '../checkpoints/stored-tensors.ts';
import { ConfigError } from '../errors.ts';
import type { DropoutRates } from '../model/dropout.ts';
import { ADAMW_DEFAULTS } from '../optim/adamw.ts';
import type { MuonPart } from '../optim/adamw-with-muon.ts';
import { GOING_ON_LR_SCALE } from './from-model.ts';
import type { LoopOptions } from './loop-options.ts';
import type { RunOptions } from './sizes.ts';

/**
 * Share of its average of squared gradients that AdamW keeps in a step. The paper has 0.95. Batches of 2 kB have noisier gradients, and
 * 0.99 averages them over more steps.
 */
const BETA2 = 0.99;

/** Learning rate of the hash tables as a multiple of the others'. A row is read in few steps, so that each must count. */
const HASH_LR_SCALE = 2;

/** Initial std of the hash tables as a share of the released models'. Most rows are read seldom: less noise to unlearn is better. */
export const HASH_INIT = 0.2;

/** Initial std of the matrices that write to the residual stream, as a share of the released models'. A block begins as the identity. */
export const OUTPUT_INIT = 0;

/**
 * Muon for the matrices in the local models' layers. It gains there what it gains for all matrices, and the local ones are small: its
 * products take a few hundredths of a step. Three iterations learn as well as five.
 */
const MUON: MuonPart = {
  prefixes: ['encoder', 'decoder'].flatMap((part) => [
    `model.local_${part}.layers.`,
    `model.local_${part}.cross_attn_layers.`,
  ]),
  lr: 0.02,
  iterations: 3,
};

/**
 * Dropout of whole hash rows from the first step on, where a trained model goes on with a mixture. The tables know the old corpus by heart, so
 * that without it reading that corpus again makes the model worse on its held-out part.
 */
const MIXED_HASH_DROPOUT = 0.15;

/** The part of a loop's numbers that says how weights change. */
type Recipe = Pick<LoopOptions, 'lr' | 'adamw' | 'muon' | 'groups' | 'dropout'>;

/**
 * The recipe of a run.
 * @param presetLr peak learning rate of the size   @param passes how often the run sees its corpus
 * @throws ConfigError if a step would shrink weights below 0
 */
export function recipeOf(o: RunOptions, presetLr: number, passes: number): Recipe {
  const lr = o.lr ?? (o.from ? GOING_ON_LR_SCALE : 1) * presetLr;
  const hashLrScale = o.hashLrScale ?? HASH_LR_SCALE;
  const weightDecay = o.weightDecay ?? (o.leaveOneOut ? 0.1 : 0.1 + 0.2 * Math.min(1, Math.max(0, passes - 1)));
  if (lr * Math.max(1, hashLrScale) * weightDecay >= 1) {
    const rate = hashLrScale > 1 ? `lr ${lr} x hash lr scale ${hashLrScale}` : `lr ${lr}`;
    throw new ConfigError(
      `${rate} x weight decay ${weightDecay} must be below 1: a step shrinks weights by that share`,
    );
  }
  const beta2 = o.beta2 ?? BETA2;
  const least = ADAMW_DEFAULTS.beta1 ** 2;
  if (beta2 <= least) {
    throw new ConfigError(
      `beta2 must be above ${least.toFixed(2)}, the square of beta1, got ${beta2}: rows that are not read would drift without bound`,
    );
  }
  // Whoever asks for a lower rate means all weights.
  const muonLr = o.muonLr ?? MUON.lr * (lr / presetLr);
  return {
    lr,
    adamw: { ...ADAMW_DEFAULTS, beta2, weightDecay },
    muon: muonLr === 0 ? null : { ...MUON, lr: muonLr },
    groups: [
      { prefix: HASH_TABLE, lrScale: hashLrScale },
      ...(o.initGlobal ? [{ prefix: COPIED_BLOCKS, lrScale: o.initGlobal.lrScale ?? COPIED_LR_SCALE }] : []),
    ],
    // A model that is trained already memorises a text later: it knows much of it from the first pass on.
    dropout: dropoutOf(o, o.from ? passes / 2 : passes),
  };
}

/**
 * How hard to regularise: nothing in the first pass over the corpus, where it only slows learning. Where n-grams are hidden, a little dropout
 * begins after six passes. Hash rows then need none. Otherwise all is full from three passes on, and hash rows, which are memorised first,
 * begin earlier. docs/laboratory/learning.md has the measurements.
 */
function dropoutOf(o: RunOptions, passes: number): DropoutRates {
  const least = o.from && o.mixture ? MIXED_HASH_DROPOUT : 0;
  /** 0 up to `first` passes, 1 from `last` on. */
  const strength = (first: number, last: number) => Math.min(1, Math.max(0, (passes - first) / (last - first)));
  const residual = o.dropout ?? (o.leaveOneOut ? 0.03 * strength(6, 8) : 0.1 * strength(1.5, 3));
  return {
    embedding: residual,
    residual,
    hidden: residual,
    output: residual,
    hash: o.hashDropout ?? Math.max(least, o.leaveOneOut ? 0 : 0.4 * strength(1.2, 3)),
  };
}
