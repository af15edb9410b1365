/** @file config.json of a run: everything needed to repeat it. What is read is hostile until checked. */
import { type RunPlan, validateConfig } from '@blt-ts/blt';
import * as z from 'zod';
import { patchingSchema } from '../config/patching-schema.ts';
import { SPLIT_CHOICES } from '../data/split.ts';
import { checked } from '../files/checked.ts';
import { parseJson } from '../files/small-file.ts';
import { UserError } from '../terminal/errors.ts';
import { DEFAULT_HOUSEKEEPING, housekeepingSchema } from './housekeeping.ts';
import { orInfinityText } from './state-files.ts';

const count = (max = Number.MAX_SAFE_INTEGER) => z.int().min(1).max(max);
const rate = () => z.number().min(0).lt(1);
// JSON has no Infinity: "never" and "no limit" are written as the word.
const orInfinity = <T extends z.ZodType<number>>(type: T) =>
  z.union([z.literal('infinity').transform(() => Number.POSITIVE_INFINITY), type]);

const transformer = {
  hiddenSize: count(65_536),
  numHiddenLayers: count(1024),
  numAttentionHeads: count(65_536),
  numKeyValueHeads: count(65_536),
  intermediateSize: count(2 ** 20),
  maxPositionEmbeddings: count(2 ** 26),
  rmsNormEps: z.number().gt(0),
  ropeTheta: z.number().gt(0),
};
const transformerSchema = z.strictObject(transformer);
const localSchema = z.strictObject({ ...transformer, crossAttnAllLayers: z.boolean() });
const configSchema = z.strictObject({
  vocabSize: count(65_536),
  behaviour: z.enum(['facebook', 'huggingface']),
  window: count().nullable(),
  encoder: localSchema,
  global: transformerSchema,
  decoder: localSchema,
  patcher: transformerSchema.nullable(),
  crossAttnK: count(1024),
  hash: z.strictObject({
    groupSizes: z.array(count(64)).max(64),
    functions: count(11),
    vocab: count(2 ** 26),
  }),
  patching: patchingSchema,
});

const loopSchema = z.strictObject({
  steps: count(),
  batchRows: count(2 ** 20),
  passRows: count(2 ** 20).optional(),
  accumulation: count(2 ** 20),
  lr: z.number().gt(0),
  warmupSteps: z.int().min(0),
  minRatio: z.number().min(0).max(1),
  schedule: z.enum(['cosine', 'wsd']).optional(),
  decayFraction: z.number().gt(0).max(1).optional(),
  gradClip: orInfinity(z.number().gt(0)),
  adamw: z.strictObject({ beta1: rate(), beta2: rate(), eps: z.number().gt(0), weightDecay: z.number().min(0) }),
  muon: z
    .strictObject({
      prefixes: z.array(z.string().max(1000)).max(100),
      lr: z.number().gt(0),
      iterations: z.int().min(1).max(100),
    })
    .nullable()
    .optional(),
  dropout: z.strictObject({ embedding: rate(), residual: rate(), hidden: rate(), output: rate(), hash: rate() }),
  ema: rate().nullable(),
  spike: z
    .strictObject({ action: z.enum(['skip', 'rewind']), factor: z.number().gt(1) })
    .nullable()
    .optional(),
  groups: z
    .array(z.strictObject({ prefix: z.string().max(1000), lrScale: z.number().min(0).max(100) }))
    .max(100)
    .optional(),
  seed: z.int().min(0),
});

const originSchema = z
  .strictObject({ source: z.string().max(10_000), sha256: z.string().max(128) })
  .nullable()
  .optional();

const planSchema = z.strictObject({
  config: configSchema,
  targetPatchBytes: z.number().min(1).nullable(),
  hashInit: z.number().min(0),
  outputInit: z.number().min(0).optional(),
  recompute: z.boolean(),
  leaveOneOut: z.boolean().optional(),
  hidingRate: z.number().min(1).optional(),
  mixture: z.array(z.number().gt(0)).min(1).max(10_000).nullable().optional(),
  entropyOrigin: originSchema,
  modelOrigin: originSchema,
  globalOrigin: originSchema,
  entropyModel: z.strictObject({ loop: loopSchema, rowBytes: count(2 ** 30) }).nullable(),
  model: z.strictObject({
    loop: loopSchema,
    patchesPerRow: count(2 ** 30),
    maxRowBytes: count(2 ** 30).nullable(),
  }),
  evalEvery: z.int().min(0),
  evalBytes: count(),
  patience: orInfinity(z.int().min(1)),
  seed: z.int().min(0),
}) satisfies z.ZodType<RunPlan>;

const recordSchema = z.strictObject({
  format: z.literal(1),
  version: z.string().max(100),
  command: z.string(),
  startedAt: z.string().max(100),
  /** `--data` arguments; empty = the built-in book. */
  data: z.array(z.string()),
  heldOut: z.array(z.string()).nullable(),
  heldOutFraction: rate(),
  /** How the held-out part was chosen: what `auto` came down to. Not there where it was given, and in runs of version 0.1. */
  split: z.enum(SPLIT_CHOICES).exclude(['auto']).optional(),
  /** The same for each source of a mixture, in the order of `data`. */
  splits: z
    .array(z.enum(SPLIT_CHOICES).exclude(['auto']))
    .max(10_000)
    .optional(),
  /** Whether training documents that repeat one another or a held-out one were left out. */
  dedupe: z.boolean().optional(),
  textField: z.string().nullable(),
  /** Files byte for byte, packed or not. */
  raw: z.boolean().optional(),
  dataHash: z.string().max(128),
  /** Hash of the held-out documents alone, to find them again among data that have changed. */
  heldOutHash: z.string().max(128).nullable().optional(),
  /** Of data that stay on disk: the hash of the files that keep what the run reads, and how large the whole is. */
  stored: z
    .strictObject({
      sha256: z.string().length(64),
      trainBytes: count(),
      heldOutBytes: z.int().min(0),
      heldOutDocuments: z.int().min(0),
      documents: count(),
    })
    .optional(),
  /** Folder of `blt prepare` that entropies come from; null: they are computed. */
  prepared: z.string().max(10_000).nullable().optional(),
  /** Bytes of each part that are read, where that is not all of them. */
  sample: z
    .strictObject({
      trainBytes: count().nullable(),
      heldOutBytes: count().nullable(),
      /** Those that the memory beside the model remembers, where a time limits them. */
      memoryBytes: z.int().min(0).optional(),
    })
    .optional(),
  /** Where the run was made longer: the step that it went on from, and the steps that it had been planned for. */
  extended: z.array(z.strictObject({ from: z.int().min(0), steps: count() })).optional(),
  /** The time that the steps were fitted to. */
  fittedMinutes: z.number().gt(0).optional(),
  /** The housekeeping, under the name that the files of all versions have. */
  care: housekeepingSchema.default(DEFAULT_HOUSEKEEPING),
  plan: planSchema,
});
export type RunRecord = Omit<z.infer<typeof recordSchema>, 'plan'> & { readonly plan: RunPlan };

export const MAX_RECORD_BYTES = 4 * 1024 * 1024;

export const recordText = (record: RunRecord): string => `${JSON.stringify(record, orInfinityText, 2)}\n`;

/** @throws UserError (exit code 2) or ConfigError in one sentence */
export function parseRecord(text: string, name: string): RunRecord {
  if (text.length > MAX_RECORD_BYTES)
    throw new UserError(`${name} has ${text.length} characters: that is no run's config.json`, 2);
  const record = checked(recordSchema, parseJson(text, name, 2), name, 2);
  validateConfig(record.plan.config);
  const { lr, adamw, groups = [] } = record.plan.model.loop;
  const rate = lr * groups.reduce((most, { lrScale = 1 }) => Math.max(most, lrScale), 1);
  if (rate * adamw.weightDecay >= 1) {
    throw new UserError(
      `${name} cannot be used: learning rate ${rate} x weight decay ${adamw.weightDecay} must be below 1`,
      2,
    );
  }
  return record;
}
