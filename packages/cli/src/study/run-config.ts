/** @file One run of the study: every number that decides its result, and the name that follows from them. */
import { hash } from 'node:crypto';
import * as z from 'zod';

/** Raised when the same configuration no longer gives the same bits: runs made before then are other runs. */
const NUMERICS = 1;

const count = z.int().min(1);

/**
 * How a run is trained. It has no values of its own, because a figure must not move when a preset of `blt train` does: each experiment file
 * states it.
 */
const recipe = {
  /** Rows of an update. */
  batch_rows: count,
  /** Share of the updates in which the rate rises to `lr`; it falls along a cosine to lr * min_ratio afterwards. */
  warmup: z.number().min(0).lt(1),
  min_ratio: z.number().min(0).max(1),
  /** Global norm above which a gradient is scaled down. */
  grad_clip: z.number().positive(),
  beta1: z.number().min(0).lt(1),
  beta2: z.number().min(0).lt(1),
  weight_decay: z.number().min(0),
  /** Initial std of the matrices that write to the residual stream, as a share of width^-0.5. */
  output_init: z.number().min(0),
  /** Initial std of hash and n-gram tables, as a share of width^-0.5. */
  table_init: z.number().min(0),
  /** Rate of those tables, as a multiple of `lr`. */
  table_lr: z.number().positive(),
};

const common = {
  corpus: z.string(),
  /** Most bytes of a row, in every family. */
  row_bytes: count.default(512),
  /** Bytes of each held-out document that are scored. */
  excerpt_bytes: count.default(8192),
  /** Training FLOPs: three times the forward pass, the entropy model included. */
  flops: z.number().positive(),
  lr: z.number().positive(),
  seed: z.int().min(0).default(0),
  ...recipe,
};

const token = z.strictObject({
  kind: z.literal('token'),
  ...common,
  /** Ids: 4 specials, 256 bytes, the rest merges. 260 makes a byte transformer. */
  vocab: z
    .int()
    .min(260)
    .max(2 ** 16),
  width: count,
  layers: count,
  /** Positions that attention looks back. */
  window: count.nullable().default(null),
  /** Sizes of hashed n-grams of tokens. */
  ngrams: z.array(count).default([]),
  ngram_rows: count.default(8192),
});

const patch = z.strictObject({
  kind: z.literal('patch'),
  ...common,
  patching: z.enum(['static', 'space', 'entropy']),
  /** Bytes per patch, static, or the mean that entropy patches are calibrated to; left out for patches by space. */
  patch_bytes: z.number().min(1).default(4.5),
  monotonic: z.boolean().default(false),
  local_width: count,
  encoder_layers: count.default(1),
  decoder_layers: count.default(1),
  global_width: count,
  global_layers: count,
  k: count.default(2),
  /** Bytes that local attention looks back. */
  window: count.default(128),
  hash_sizes: z.array(count).default([3, 4, 5, 6, 7, 8]),
  hash_vocab: count.default(8192),
  cross_attention: z.enum(['all', 'none']).default('all'),
  /** How a patch without cross-attention is made of its bytes. Left out it is the maximum, for the reason given at entropy_loss. */
  pooling: z.enum(['mean', 'last']).optional(),
  /** The entropy model, a byte transformer trained by a run of its own. */
  entropy_width: count.default(32),
  entropy_layers: count.default(1),
  entropy_window: count.default(128),
  entropy_flops: z.number().positive().default(1e11),
  entropy_lr: z.number().positive().default(4e-3),
  /**
   * The loss of a target weighs (H / mean H)^this in training, where H is the entropy model's entropy of it. Scores are never weighed. It may
   * be left out, so that runs without it keep the names that they had before there was such an option.
   */
  entropy_loss: z.number().optional(),
});

/** The schema of a run. What is left out has one value. */
export const runConfig = z
  .discriminatedUnion('kind', [token, patch])
  .refine((config) => config.kind === 'token' || !config.entropy_loss || config.patching === 'entropy', {
    error: 'entropy_loss is for patching = "entropy", because the other patches have no entropies',
  })
  .refine((config) => config.kind === 'token' || !config.pooling || config.cross_attention === 'none', {
    error: 'pooling is for cross_attention = "none", because the queries of cross-attention are always maxima',
  });

/** A run of a token or byte transformer. */
export type TokenConfig = z.infer<typeof token>;
/** A run of a patch model. */
export type PatchConfig = z.infer<typeof patch>;
/** Any run. */
export type RunConfig = z.infer<typeof runConfig>;

/** The numbers that do not reach the result do not reach the name. */
function normal(config: RunConfig): RunConfig {
  const tableless = { table_init: 1, table_lr: 1 };
  if (config.kind === 'token') return config.ngrams.length > 0 ? config : { ...config, ...tableless, ngram_rows: 1 };
  const hashed = config.hash_sizes.length > 0 ? config : { ...config, ...tableless, hash_vocab: 1 };
  const { entropy_loss, ...crossed } = hashed.cross_attention === 'none' ? { ...hashed, k: 1 } : hashed;
  if (crossed.patching === 'entropy') return entropy_loss ? { ...crossed, entropy_loss } : crossed;
  const patch_bytes = crossed.patching === 'space' ? 1 : crossed.patch_bytes;
  return {
    ...crossed,
    patch_bytes,
    monotonic: false,
    entropy_width: 1,
    entropy_layers: 1,
    entropy_window: 1,
    entropy_flops: 1,
    entropy_lr: 1,
  };
}

/** The folder of a run: the first 16 hexadecimal digits of the SHA-256 of its configuration, whose keys are sorted. */
export function runName(config: RunConfig): string {
  const entries = Object.entries(normal(config)).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify({ numerics: NUMERICS, entries }), 'hex').slice(0, 16);
}

/** The run that trains the entropy model of a run; null where patches are cut without one. */
export function entropyRun(config: RunConfig): TokenConfig | null {
  if (config.kind !== 'patch' || config.patching !== 'entropy') return null;
  const { corpus, row_bytes, excerpt_bytes, entropy_width, entropy_layers, entropy_window, entropy_flops } = config;
  const shared = Object.fromEntries(Object.keys(recipe).map((key) => [key, config[key as keyof typeof recipe]]));
  return token.parse({
    kind: 'token',
    ...{ corpus, row_bytes, excerpt_bytes, ...shared },
    lr: config.entropy_lr,
    flops: entropy_flops,
    vocab: 260,
    width: entropy_width,
    layers: entropy_layers,
    window: entropy_window,
  });
}
