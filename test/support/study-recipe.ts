/** @file A recipe for runs of the study whose recipe does not matter. */

/** See `runConfig`. */
export const RECIPE = {
  batch_rows: 4,
  warmup: 0.05,
  min_ratio: 0.02,
  grad_clip: 1,
  beta1: 0.9,
  beta2: 0.99,
  weight_decay: 0.1,
  output_init: 0,
  table_init: 0.2,
  table_lr: 2,
};
