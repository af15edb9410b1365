import * as z from 'zod';
import { SPLIT_CHOICES } from '../data/split.ts';
import { BACKEND_NAMES } from './backend-names.ts';

/**
 * The config file, section by section. Every key is optional: what is left out follows from `size`, from the data, or from the
 * defaults. On disk keys are snake_case; the same word in kebab-case is the flag (`batch_size` and `--batch-size`), with
 * `entropy-` in front for the section [entropy_model].
 */

/** Entropies are natural logarithms over 260 classes, so none is above ln 260 = 5.5607 nats. */
export const MAX_ENTROPY_NATS = Math.log(260);

const count = () => z.int().min(1);
const countOrNever = () => z.int().min(0);
const width = () => z.int().min(2).max(65536);
const share = () => z.number().min(0).lt(1);
const positive = () => z.number().gt(0);
const nats = () =>
  z
    .number()
    .min(-MAX_ENTROPY_NATS)
    .max(
      MAX_ENTROPY_NATS,
      `must be ${MAX_ENTROPY_NATS.toFixed(4)} or less: thresholds are in nats, and no entropy is above ln 260`,
    );

type Section = Record<string, unknown>;

/** Heads must divide the width, into heads of even size: RoPE turns pairs. Checked where the file gives both. */
function checkHeads(section: Section, widthKey: string, headsKey: string, context: z.core.$RefinementCtx): void {
  const [channels, heads] = [section[widthKey], section[headsKey]];
  if (typeof channels !== 'number' || typeof heads !== 'number') return;
  if (channels % heads !== 0) {
    context.addIssue({
      code: 'custom',
      path: [headsKey],
      message: `${headsKey} ${heads} must divide ${widthKey} ${channels} without remainder`,
    });
  } else if ((channels / heads) % 2 !== 0) {
    context.addIssue({
      code: 'custom',
      path: [headsKey],
      message: `${widthKey} ${channels} / ${headsKey} ${heads} = ${channels / heads} is odd; rotary positions need heads of even width`,
    });
  }
}

const modelSection = z
  .strictObject({
    local_width: width().optional(),
    local_heads: count().optional(),
    encoder_layers: count().optional(),
    decoder_layers: count().optional(),
    global_width: width().optional(),
    global_layers: count().optional(),
    global_heads: count().optional(),
    /** Query rows per patch (cross_attn_k). */
    k: z.int().min(1).max(64).optional(),
    /** Bytes per hashed n-gram; [] switches the hash embeddings off. */
    hash_sizes: z.array(z.int().min(1).max(64)).max(16).optional(),
    /** Hash functions per n-gram size; there are 11 primes. */
    hash_functions: z.int().min(1).max(11).optional(),
    /** Rows of each hash table; under 2^20 so that bucket arithmetic stays exact in doubles. */
    hash_vocab: z
      .int()
      .min(1)
      .lt(2 ** 20)
      .optional(),
    /** Bytes that local attention sees, the current one included. */
    window: count().optional(),
    /** Whose masks: facebook has window and documents, huggingface is what transformers computes. */
    behaviour: z.enum(['facebook', 'huggingface']).optional(),
    /** Folder of a Llama (transformers) whose blocks the global transformer starts with. */
    init_global: z.string().min(1).optional(),
  })
  .superRefine((section, context) => {
    checkHeads(section, 'local_width', 'local_heads', context);
    checkHeads(section, 'global_width', 'global_heads', context);
    const { hash_sizes } = section;
    const twice = hash_sizes?.find((size, index) => hash_sizes.indexOf(size) !== index);
    if (twice !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['hash_sizes'],
        message: `${twice} is listed twice; give each size once`,
      });
    }
  });

const entropyModelSection = z
  .strictObject({
    layers: count().optional(),
    width: width().optional(),
    heads: count().optional(),
    steps: count().optional(),
    /** Run or checkpoint folder whose entropy model is used as it is. */
    model: z.string().min(1).optional(),
  })
  .superRefine((section, context) => {
    checkHeads(section, 'width', 'heads', context);
    const other = section.model === undefined ? undefined : Object.keys(section).find((key) => key !== 'model');
    if (other !== undefined) {
      context.addIssue({
        code: 'custom',
        path: [other],
        message: `the entropy model of ${section.model} is used as it is; leave out ${other}`,
      });
    }
  });

/** Keys of [patcher] that a mode does not read; mode space takes patch_size as a guess, for how many patches make a row. */
export function unusedPatching(
  mode: string | undefined,
): readonly ('threshold' | 'monotonic' | 'threshold_add' | 'patch_size')[] {
  if (mode === undefined || mode === 'entropy') return [];
  const ofEntropies = ['threshold', 'monotonic', 'threshold_add'] as const;
  return mode === 'byte' ? [...ofEntropies, 'patch_size'] : ofEntropies;
}

const patcherSection = z
  .strictObject({
    patching_mode: z.enum(['entropy', 'space', 'static', 'byte']).optional(),
    /** Mean bytes per patch to aim at (entropy: a threshold is found for it; static: the patch size itself). */
    patch_size: z.number().min(1).max(1024).optional(),
    /** Nats. */
    threshold: nats().optional(),
    /** Compare each entropy's rise over the one before with the threshold, instead of the entropy. */
    monotonic: z.boolean().optional(),
    /** Nats; demands this rise as well as the threshold. */
    threshold_add: nats().optional(),
    max_patch_length: count().optional(),
  })
  .superRefine((section, context) => {
    const { patching_mode, patch_size, threshold, monotonic, threshold_add } = section;
    const issue = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message });
    const unused = unusedPatching(patching_mode).find((key) => section[key] !== undefined && section[key] !== false);
    if (unused !== undefined)
      issue(unused, `${unused} has no meaning in patching_mode "${patching_mode}"; leave it out`);
    if (patching_mode === 'static' && patch_size !== undefined && !Number.isInteger(patch_size)) {
      issue('patch_size', `patch_size ${patch_size} must be a whole number of bytes in patching_mode "static"`);
    }
    if (patch_size !== undefined && threshold !== undefined && (patching_mode ?? 'entropy') === 'entropy') {
      issue('patch_size', 'patch_size chooses the threshold, so give patch_size or threshold, not both');
    }
    if (monotonic === true && threshold_add !== undefined) {
      issue('threshold_add', 'monotonic = true takes no threshold_add; give one of the two');
    }
  });

const dataSection = z
  .strictObject({
    /** Files, folders, patterns, or "-". */
    data: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)], 'must be a text or a list of texts, in quotes')
      .optional(),
    held_out: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)], 'must be a text or a list of texts, in quotes')
      .optional(),
    held_out_fraction: share().optional(),
    /** How the held-out part is chosen from the data. */
    split: z.enum(SPLIT_CHOICES).optional(),
    /** Leave out training documents that repeat one another or a held-out one. */
    dedupe: z.boolean().optional(),
    text_field: z.string().min(1).optional(),
    /** Files byte for byte: nothing is unpacked, no .jsonl read by lines. */
    raw: z.boolean().optional(),
    /** Folder of `blt prepare` that entropies and patches come from. */
    prepared: z.string().min(1).optional(),
  })
  .superRefine(({ held_out, split }, context) => {
    if (held_out === undefined || split === undefined) return;
    context.addIssue({
      code: 'custom',
      path: ['split'],
      message: 'held_out names the held-out text, so there is nothing to split; give held_out or split, not both',
    });
  });

const trainSection = z.strictObject({
  steps: count().optional(),
  /** Wall-clock budget; with steps too, whichever ends first. */
  minutes: positive().optional(),
  /** Rows per step. */
  batch_size: count().optional(),
  patches_per_row: z.int().min(2).optional(),
  row_bytes: z.int().min(2).optional(),
  lr: positive().max(10).optional(),
  /** Share of the learning rate for the blocks that init_global gave. */
  init_global_lr_scale: z.number().min(0).max(1).optional(),
  warmup_steps: countOrNever().optional(),
  /** Learning rate at the end as a share of the peak. */
  lr_min_ratio: z.number().min(0).max(1).optional(),
  weight_decay: z.number().min(0).max(10).optional(),
  /** Largest global gradient norm; 0 = no clipping. */
  grad_clip: z.number().min(0).optional(),
  grad_accumulation: count().optional(),
  /** Run blocks again in the backward pass instead of keeping their activations. */
  recompute: z.boolean().optional(),
  /** Initial std of the hash tables as a share of width^-0.5. */
  hash_init: z.number().min(0).max(1).optional(),
  dropout: share().optional(),
  hash_dropout: share().optional(),
  /** Decay of the averaged weights; 0 = none kept. */
  ema: share().optional(),
  /** Steps between held-out evaluations; 0 = only at the end. Every evaluation saves. */
  eval_every: countOrNever().optional(),
  /** Steps between saves beside those; 0 = none (but one every ten minutes). */
  save_every: countOrNever().optional(),
  /** Saved steps that are kept, beside the best. */
  keep_last: count().max(1000).optional(),
  /** Steps between sample texts; 0 = only at the end. */
  sample_every: countOrNever().optional(),
  /** What to do about a batch whose loss stands out: nothing, leave it out, or go back to the last saved weights as well. */
  on_spike: z.enum(['ignore', 'skip', 'rewind']).optional(),
  /** How many times the average loss stands out. */
  spike_factor: z.number().gt(1).optional(),
  /** Evaluations without a better held-out figure before stopping; 0 = never stop early. */
  patience: countOrNever().optional(),
});

/** The whole file. */
export const configSchema = z.strictObject({
  size: z.enum(['nano', 'tiny', 'small', 'base']).optional(),
  run: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a run name becomes a folder: letters, digits, ".", "_" and "-", no slashes')
    .optional(),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional(),
  backend: z.enum(BACKEND_NAMES).optional(),
  threads: z.int().min(1).max(256).optional(),
  data: dataSection.optional(),
  patcher: patcherSection.optional(),
  entropy_model: entropyModelSection.optional(),
  model: modelSection.optional(),
  train: trainSection.optional(),
});

export type FileConfig = z.infer<typeof configSchema>;
export type SectionName = 'data' | 'patcher' | 'entropy_model' | 'model' | 'train';

export type KeyKind = 'number' | 'boolean' | 'string' | 'choice' | 'numbers' | 'strings';

/** One key of the file and the flag that sets the same thing. */
export interface ConfigKey {
  /** Undefined for keys above all sections. */
  section: SectionName | undefined;
  key: string;
  /** Without the dashes: `batch-size`. */
  flag: string;
  kind: KeyKind;
  /** The words allowed, for kind 'choice'. */
  choices?: readonly string[];
}

/** All keys in the order of the schema. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.entries(configSchema.shape).flatMap(([name, optional]) => {
  const inner = optional.def.innerType;
  if (!(inner instanceof z.ZodObject)) return [configKey(undefined, name, inner)];
  return Object.entries(inner.shape).map(([key, field]) =>
    configKey(name as SectionName, key, (field as z.ZodOptional).def.innerType),
  );
});

function configKey(section: SectionName | undefined, key: string, type: z.core.$ZodType): ConfigKey {
  const flag = (section === 'entropy_model' ? `entropy_${key}` : key).replaceAll('_', '-');
  if (type instanceof z.ZodEnum) return { section, key, flag, kind: 'choice', choices: type.options.map(String) };
  return { section, key, flag, kind: kindOf(type) };
}

function kindOf(type: z.core.$ZodType): KeyKind {
  if (type instanceof z.ZodNumber) return 'number';
  if (type instanceof z.ZodBoolean) return 'boolean';
  if (type instanceof z.ZodArray) return 'numbers';
  return type instanceof z.ZodUnion ? 'strings' : 'string';
}
