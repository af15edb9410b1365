/**
 * @file Every option of `blt train`, once. One row is a key of the config file and the flag that sets the same thing. From the rows come
 * the flags with their help (option-flags.ts), the schema of the config file (config-schema.ts), the options of the library
 * (run-options.ts) and the page docs/options.md (scripts/options-page.mjs). The rows are plain data, because `blt --help` has no time
 * to load the library or the schema.
 */
import type { RunOptions, Size } from '@blt-ts/blt';
import { HELD_OUT_FRACTION, SPLIT_CHOICES } from '../data/split.ts';
import { BACKEND_NAMES } from './backend-names.ts';

export type SectionName = 'data' | 'patcher' | 'entropy_model' | 'model' | 'train';

/** Kinds of values: `whole` is a whole number, `wholes` a list of them, `texts` one text or a list of them. */
export type Kind = 'whole' | 'number' | 'boolean' | 'text' | 'choice' | 'wholes' | 'texts';

/** One row of the table: an option with its key, its flag, its bounds and its help. */
export interface OptionRow {
  /** Key in the file, in snake_case. The flag is the same word in kebab-case, with `entropy-` in front for [entropy_model]. */
  readonly key: string;
  /** Section of the file. Without one the key stands above all sections. */
  readonly section?: SectionName;
  readonly kind: Kind;
  /** The words allowed, for kind `choice`. */
  readonly choices?: readonly string[];
  /** Bounds of a number: min <= x <= max, above < x < below. For `wholes` they hold for every entry. */
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
  readonly below?: number;
  /** Most entries of a list. */
  readonly most?: number;
  readonly pattern?: RegExp;
  /** The refusal, where the bounds do not explain themselves. */
  readonly refusal?: string;
  /** One letter that is the flag too. */
  readonly letter?: string;
  /** The flag's value in the help. */
  readonly value?: string;
  /** The same thing in `RunOptions` of the library, if it is there under one name with one meaning. */
  readonly library?: keyof RunOptions;
  /** May be given with --resume: what was trained so far keeps its bits. */
  readonly resume?: true;
  readonly doc: string;
  /** The value where nothing is given, in words. Empty: nothing, or off. */
  readonly default: string;
}

/** Entropies are natural logarithms over 260 classes, so none is above ln 260 = 5.5607 nats. */
export const MAX_ENTROPY_NATS = Math.log(260);

const NATS = {
  min: -MAX_ENTROPY_NATS,
  max: MAX_ENTROPY_NATS,
  refusal: `must be ${MAX_ENTROPY_NATS.toFixed(4)} or less: thresholds are in nats, and no entropy is above ln 260`,
} as const;
const COUNT = { kind: 'whole', min: 1 } as const;
/** The bounds that the record of a run has. */
const PASSES = { kind: 'whole', min: 1, max: 2 ** 20 } as const;
const LAYERS = { kind: 'whole', min: 1, max: 1024 } as const;
const COUNT_OR_NEVER = { kind: 'whole', min: 0 } as const;
const WIDTH = { kind: 'whole', min: 2, max: 65_536, value: 'n' } as const;
const SHARE = { kind: 'number', min: 0, below: 1 } as const;
const PATHS = { kind: 'texts', value: 'path', refusal: 'must be a text or a list of texts, in quotes' } as const;
const SIZE_NAMES = ['nano', 'tiny', 'small', 'base'] as const satisfies readonly Size[];
const MODES = ['entropy', 'space', 'static', 'byte'] as const satisfies readonly RunOptions['patchingMode'][];

const BY_SIZE = 'by --size';
const BY_DATA = 'by --size and the data';

/** All options, in the order of the help. */
// biome-ignore format: a table reads best with one option a row
export const OPTIONS = [
  { key: 'data', section: 'data', ...PATHS, letter: 'd', default: 'Moby Dick',
    doc: 'text to learn: file, folder, pattern, .jsonl, .parquet, .gz, .zst, .tar, or - for stdin. May be repeated. PATH=3 gives it the weight 3 when rows are drawn. Runs that lie in a folder are left out' },
  { key: 'held_out', section: 'data', ...PATHS, default: '',
    doc: 'text to evaluate on instead of a part of the data. May be repeated' },
  { key: 'held_out_fraction', section: 'data', ...SHARE, value: 'share', default: String(HELD_OUT_FRACTION),
    doc: 'share of the data held out for evaluation' },
  { key: 'split', section: 'data', kind: 'choice', choices: SPLIT_CHOICES, value: 'how', default: 'auto',
    doc: 'what is held out: whole documents, tails (the end of each), or the end of the data. auto takes documents if there are many, else tails. Chats are held out whole' },
  { key: 'dedupe', section: 'data', kind: 'boolean', default: '',
    doc: 'leave out training documents that repeat one another or held-out text' },
  { key: 'text_field', section: 'data', kind: 'text', value: 'name', default: 'text, content or body',
    doc: 'field of .jsonl lines that holds the text. Without it chats (messages) and completions (prompt, completion) are read too' },
  { key: 'raw', section: 'data', kind: 'boolean', default: '',
    doc: 'use every file byte for byte. Nothing is unpacked, and no .jsonl is read by lines' },
  { key: 'max_memory', section: 'data', kind: 'text', value: 'size', default: 'half of the memory',
    pattern: /^\d+(\.\d+)?\s*([kmgt]i?)?b?$/i, refusal: 'must be a number of bytes such as "800MB", "1.5GB" or "2GiB"',
    doc: 'most memory of the run, such as 1GB. Data larger than an eighth of it stay on disk' },
  { key: 'prepared', section: 'data', kind: 'text', value: 'dir', default: '',
    doc: 'entropies and patches that blt prepare made of this data' },

  { key: 'size', kind: 'choice', choices: SIZE_NAMES, letter: 's', value: 'size', library: 'size', default: 'nano; with --minutes by time and data',
    doc: 'one dial for the sizes, steps and rates that are not given' },
  { key: 'run', kind: 'text', pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/, value: 'name', default: 'size and a number',
    refusal: 'a run name becomes a folder: letters, digits, ".", "_" and "-", no slashes',
    doc: 'folder under runs/' },
  { key: 'from', kind: 'text', value: 'dir', default: '',
    doc: 'run or checkpoint to go on from, with its weights, sizes, patches and entropy model' },
  { key: 'seed', kind: 'whole', min: 0, max: 2 ** 32 - 1, value: 'n', library: 'seed', default: '0',
    doc: 'start of all random numbers. The same seed gives the same bits' },
  { key: 'backend', kind: 'choice', choices: BACKEND_NAMES, value: 'name', resume: true, default: 'auto',
    doc: 'what computes. auto takes a GPU if there is a real one, else wasm' },
  { key: 'threads', kind: 'whole', min: 1, max: 256, value: 'n', resume: true, default: 'all cores',
    doc: 'CPU threads' },

  { key: 'steps', section: 'train', ...COUNT, value: 'n', library: 'steps', resume: true, default: BY_DATA,
    doc: 'updates of the model. With --resume the run is made so long' },
  { key: 'batch_size', section: 'train', ...PASSES, value: 'rows', library: 'batchRows', default: BY_SIZE,
    doc: 'rows per step' },
  { key: 'pass_rows', section: 'train', ...PASSES, value: 'rows', library: 'passRows', default: '1024 bytes of them, 2048 with base',
    doc: 'rows that one core takes at once: a step of more rows is shared among cores' },
  { key: 'row_bytes', section: 'train', kind: 'whole', min: 2, max: 2 ** 25, value: 'n', library: 'rowBytes', default: BY_SIZE,
    doc: 'bytes per row' },
  { key: 'patches_per_row', section: 'train', kind: 'whole', min: 2, max: 2 ** 26, value: 'n', library: 'patchesPerRow', default: 'row bytes / patch size',
    doc: 'patches per row, instead of --row-bytes' },
  { key: 'lr', section: 'train', kind: 'number', above: 0, max: 10, value: 'rate', library: 'lr', default: 'by --size; with --from a quarter of that',
    doc: 'peak learning rate' },
  { key: 'init_global_lr_scale', section: 'train', kind: 'number', min: 0, max: 1, value: 'share', default: '0.1',
    doc: 'learning rate of the weights of --init-global, as a share of --lr' },
  { key: 'warmup_steps', section: 'train', ...COUNT_OR_NEVER, value: 'n', library: 'warmupSteps', default: 'a tenth of the steps, at most 100',
    doc: 'steps of linear warm-up' },
  { key: 'lr_min_ratio', section: 'train', kind: 'number', min: 0, max: 1, value: 'share', library: 'minRatio', default: '0.02',
    doc: 'final rate as a share of the peak' },
  { key: 'schedule', section: 'train', kind: 'choice', choices: ['cosine', 'wsd'], value: 'name', library: 'schedule', default: 'cosine',
    doc: 'how the rate falls. wsd holds it, and lets it fall in a line at the end, so that the run can be made longer' },
  { key: 'decay_fraction', section: 'train', kind: 'number', above: 0, max: 1, value: 'share', library: 'decayFraction', default: '0.2 with wsd',
    doc: 'share of the steps of wsd in which the rate falls' },
  { key: 'weight_decay', section: 'train', kind: 'number', min: 0, max: 10, value: 'rate', library: 'weightDecay', default: '0.1; without --leave-one-out 0.1 to 0.3, by passes over the data',
    doc: 'weight decay of AdamW' },
  { key: 'beta2', section: 'train', kind: 'number', min: 0, below: 1, value: 'share', library: 'beta2', default: '0.99',
    doc: 'share of its average of squared gradients that AdamW keeps in a step' },
  { key: 'hash_lr_scale', section: 'train', kind: 'number', min: 0, max: 100, value: 'x', library: 'hashLrScale', default: '2',
    doc: 'learning rate of the hash tables, as a multiple of --lr' },
  { key: 'muon_lr', section: 'train', kind: 'number', min: 0, max: 10, value: 'rate', library: 'muonLr', default: '0.02, in proportion to --lr',
    doc: "peak learning rate of Muon for the local models' matrices. 0 trains them with AdamW" },
  { key: 'grad_clip', section: 'train', kind: 'number', min: 0, value: 'norm', library: 'gradClip', default: '1',
    doc: 'largest norm of all gradients together. 0 = no bound' },
  { key: 'grad_accumulation', section: 'train', ...PASSES, value: 'n', library: 'accumulation', default: '1',
    doc: 'forward passes per update' },
  { key: 'recompute', section: 'train', kind: 'boolean', library: 'recompute', default: '',
    doc: 'compute activations again in the backward pass: less memory, more time. For long rows' },
  { key: 'hash_init', section: 'train', kind: 'number', min: 0, max: 1, value: 'share', library: 'hashInit', default: '0.2',
    doc: 'initial standard deviation of the hash tables, as a share of that of the released models' },
  { key: 'output_init', section: 'train', kind: 'number', min: 0, max: 1, value: 'share', library: 'outputInit', default: '0',
    doc: 'initial standard deviation of the matrices that write to the residual stream, as a share of that of the released models' },
  { key: 'dropout', section: 'train', ...SHARE, value: 'rate', library: 'dropout', default: '0 up to six passes over the data, rising to 0.03 at eight; without --leave-one-out 0 to 0.1 by passes; with --from by half of them',
    doc: 'dropout of the residual stream' },
  { key: 'hash_dropout', section: 'train', ...SHARE, value: 'rate', library: 'hashDropout', default: '0; without --leave-one-out 0 to 0.4 by passes over the data, with --from by half of them',
    doc: 'share of hash rows left out in a step' },
  { key: 'leave_one_out', section: 'train', kind: 'boolean', library: 'leaveOneOut', default: 'on, unless rates of dropout are given',
    doc: 'from the second pass over the data on, hide rare n-grams: one that the data have n times with probability r/n. r is half of the number of passes, from 2 to 8' },
  { key: 'ema', section: 'train', ...SHARE, value: 'decay', library: 'ema', default: '0 = none',
    doc: 'evaluate a running average of the weights with this decay, such as 0.999' },
  { key: 'minutes', section: 'train', kind: 'number', above: 0, value: 'n', resume: true, default: '',
    doc: 'minutes for the whole run and its report. Steps follow from them. With --steps or --resume the run stops when they are up. A finished run goes on for so long' },
  { key: 'eval_every', section: 'train', ...COUNT_OR_NEVER, value: 'steps', library: 'evalEvery', default: 'a half to a sixth of the steps; with --minutes down to a twelfth',
    doc: 'steps between held-out evaluations. 0 = only at the end' },
  { key: 'save_every', section: 'train', ...COUNT_OR_NEVER, value: 'steps', resume: true, default: '0 = none',
    doc: 'steps between saves beside those of evaluations' },
  { key: 'keep_last', section: 'train', kind: 'whole', min: 1, max: 1000, value: 'n', resume: true, default: '1',
    doc: 'saved steps to keep beside the best' },
  { key: 'sample_every', section: 'train', ...COUNT_OR_NEVER, value: 'steps', resume: true, default: '0',
    doc: 'steps between sample texts. 0 = only at the end' },
  { key: 'memory', section: 'train', kind: 'choice', choices: ['on', 'off'], value: 'on|off', resume: true, default: 'on',
    doc: 'keep a memory of the training text beside the model. It is made during training and measured at the end' },
  { key: 'on_spike', section: 'train', kind: 'choice', choices: ['ignore', 'skip', 'rewind'], value: 'action', default: 'ignore',
    doc: 'what is done about a batch whose loss stands out: ignore it, skip it, or rewind to the last save' },
  { key: 'spike_factor', section: 'train', kind: 'number', above: 1, value: 'x', default: '2',
    doc: 'a loss of more than this many times the average stands out' },
  { key: 'patience', section: 'train', ...COUNT_OR_NEVER, value: 'n', library: 'patience', default: '4; 0 with wsd or --minutes',
    doc: 'stop after so many evaluations without a new best. 0 = never' },

  { key: 'patching_mode', section: 'patcher', kind: 'choice', choices: MODES, value: 'mode', library: 'patchingMode', default: 'entropy',
    doc: 'cut where the entropy is high, at spaces, every few bytes, or at every byte' },
  { key: 'patcher', section: 'patcher', kind: 'choice', choices: ['keep', 'retrain'], value: 'what', default: 'keep',
    doc: 'with --from, keep its entropy model and threshold, or train a new one' },
  { key: 'patch_size', section: 'patcher', kind: 'number', min: 1, max: 1024, value: 'bytes', library: 'patchSize', default: '4.5, static: 4; 6 where --minutes without --size is short',
    doc: 'mean bytes per patch. By entropy, the threshold is found for it' },
  { key: 'threshold', section: 'patcher', kind: 'number', ...NATS, value: 'nats', library: 'threshold', default: 'by --patch-size',
    doc: 'entropy threshold, instead of --patch-size' },
  { key: 'monotonic', section: 'patcher', kind: 'boolean', library: 'monotonic', default: '',
    doc: 'compare the rise of the entropy with the threshold, not the entropy' },
  { key: 'threshold_add', section: 'patcher', kind: 'number', ...NATS, value: 'nats', library: 'thresholdAdd', default: '',
    doc: 'besides the threshold, demand that the entropy rises by more than this' },
  { key: 'max_patch_length', section: 'patcher', ...COUNT, value: 'bytes', library: 'maxPatchLength', default: '',
    doc: 'longest patch' },

  { key: 'local_width', section: 'model', ...WIDTH, library: 'localWidth', default: BY_SIZE,
    doc: 'channels of the local encoder and decoder' },
  { key: 'local_heads', section: 'model', ...COUNT, value: 'n', library: 'localHeads', default: BY_SIZE,
    doc: 'attention heads of the local encoder and decoder' },
  { key: 'encoder_layers', section: 'model', ...LAYERS, value: 'n', library: 'encoderLayers', default: BY_SIZE,
    doc: 'layers of the local encoder' },
  { key: 'decoder_layers', section: 'model', ...LAYERS, value: 'n', library: 'decoderLayers', default: BY_SIZE,
    doc: 'layers of the local decoder' },
  { key: 'global_width', section: 'model', ...WIDTH, library: 'globalWidth', default: BY_SIZE,
    doc: 'channels of the global transformer' },
  { key: 'global_heads', section: 'model', ...COUNT, value: 'n', library: 'globalHeads', default: BY_SIZE,
    doc: 'attention heads of the global transformer' },
  { key: 'global_layers', section: 'model', ...LAYERS, value: 'n', library: 'globalLayers', default: BY_SIZE,
    doc: 'layers of the global transformer' },
  { key: 'k', section: 'model', kind: 'whole', min: 1, max: 64, value: 'n', library: 'k', default: '2',
    doc: 'rows per patch in the cross-attentions' },
  { key: 'hash_sizes', section: 'model', kind: 'wholes', min: 1, max: 64, most: 16, value: 'list', library: 'hashSizes', default: '2,3,4,5,6,8',
    doc: 'n-gram sizes. "" = none' },
  // There are 11 primes.
  { key: 'hash_functions', section: 'model', kind: 'whole', min: 1, max: 11, value: 'n', library: 'hashFunctions', default: '1',
    doc: 'hash functions per n-gram size' },
  // Under 2^20 bucket arithmetic stays exact in doubles.
  { key: 'hash_vocab', section: 'model', kind: 'whole', min: 1, below: 2 ** 20, value: 'rows', library: 'hashVocab', default: BY_SIZE,
    doc: 'rows per hash table' },
  { key: 'window', section: 'model', ...COUNT, value: 'bytes', library: 'window', default: '512',
    doc: 'bytes a local layer looks back' },
  { key: 'behaviour', section: 'model', kind: 'choice', choices: ['facebook', 'huggingface'], value: 'name', library: 'behaviour', default: 'facebook',
    doc: 'attention within window and document as in the released code (facebook), or plain causal as in transformers (huggingface)' },
  { key: 'width', section: 'entropy_model', ...WIDTH, library: 'entropyWidth', default: BY_SIZE,
    doc: 'channels of the entropy model' },
  { key: 'heads', section: 'entropy_model', ...COUNT, value: 'n', library: 'entropyHeads', default: BY_SIZE,
    doc: 'attention heads of the entropy model' },
  { key: 'layers', section: 'entropy_model', ...LAYERS, value: 'n', library: 'entropyLayers', default: BY_SIZE,
    doc: 'layers of the entropy model' },
  { key: 'steps', section: 'entropy_model', ...COUNT, value: 'n', library: 'entropySteps', default: BY_DATA,
    doc: 'updates of the entropy model' },
  { key: 'model', section: 'entropy_model', kind: 'text', value: 'dir', default: '',
    doc: 'run or checkpoint whose entropy model is used as it is' },
  { key: 'init_global', section: 'model', kind: 'text', value: 'dir', default: '',
    doc: 'Llama of transformers whose blocks the global transformer starts with' },
] as const satisfies readonly OptionRow[];

/** The type of one row of {@link OPTIONS}, with its literal names. */
export type Option = (typeof OPTIONS)[number];

/** The type of an option's value in the config file. */
export type ValueOf<O extends OptionRow> = {
  whole: number;
  number: number;
  boolean: boolean;
  text: string;
  choice: O extends { readonly choices: readonly (infer Word)[] } ? Word : never;
  wholes: number[];
  texts: string | string[];
}[O['kind']];

/** Without the dashes: `batch-size`. */
export const flagOf = ({ section, key }: Pick<OptionRow, 'section' | 'key'>): string =>
  (section === 'entropy_model' ? `entropy_${key}` : key).replaceAll('_', '-');

/** As commander names it: `batchSize`. */
export const camelCase = (name: string): string =>
  name.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
