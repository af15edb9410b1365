/**
 * @file The configuration of a facebookresearch/blt checkpoint: its model arguments, completed by the shapes of its tensors. Feed-forward
 * widths are always those that are stored, never computed.
 */
import { ConfigError } from '../errors.ts';
import { type BltConfig, type HashConfig, type TransformerConfig, validateConfig } from '../model/config.ts';
import type { PatchingOptions } from '../patching/boundaries.ts';
import { shownValue } from './shown-value.ts';
import type { NamedShapes } from './stored-tensors.ts';

type Json = Record<string, unknown>;

const isObject = (x: unknown): x is Json => x !== null && typeof x === 'object' && !Array.isArray(x);

/** The model arguments in a file of the authors: at the top, or under `model`, `args` or `args.model`. null if there are none. */
export function facebookArguments(json: unknown, depth = 4): Json | null {
  // The depth is bounded: a hostile file nests as deep as it likes.
  if (!isObject(json) || depth === 0) return null;
  if ('dim_local_encoder' in json || 'n_layers_local_encoder' in json) return json;
  return facebookArguments(json.model, depth - 1) ?? facebookArguments(json.args, depth - 1);
}

function read(json: Json, key: string, fallback?: number): number {
  const value = json[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new ConfigError(`${key} must be a number, got ${shownValue(value)}`);
  }
  return value;
}

/** Group sizes come as a list or as "3,4,5". */
function sizes(value: unknown): number[] {
  const list = typeof value === 'string' ? value.split(',').map(Number) : (value ?? [3, 4, 5, 6, 7, 8]);
  if (!Array.isArray(list) || !list.every((x) => Number.isSafeInteger(x))) {
    throw new ConfigError(`encoder_hash_byte_group_size must be a list of whole numbers, got ${shownValue(value)}`);
  }
  return list as number[];
}

function patchingOf(args: Json): PatchingOptions {
  const mode = (args.patching_mode ?? 'entropy') as PatchingOptions['mode'];
  const maxPatchLength = args.max_patch_length == null ? null : read(args, 'max_patch_length');
  switch (mode) {
    case 'entropy':
      return {
        mode,
        threshold: read(args, 'patching_threshold', 1.335442066192627),
        monotonic: args.monotonicity === true,
        thresholdAdd: args.patching_threshold_add == null ? null : read(args, 'patching_threshold_add'),
        maxPatchLength,
      };
    case 'static':
      return { mode, patchSize: read(args, 'patch_size'), maxPatchLength };
    case 'space':
    case 'byte':
    case 'bpe':
      return { mode, maxPatchLength };
    default:
      throw new ConfigError(
        `patching_mode must be entropy, space, static, byte or bpe, got ${shownValue(args.patching_mode)}`,
      );
  }
}

/** Options of facebookresearch/blt that change the arithmetic and are not built: what they must be, if they are given. */
const ONLY: readonly (readonly [key: string, accepted: readonly unknown[], what: string])[] = [
  ['cross_attn_window_encoder', [null], 'cross-attention over other patches'],
  ['cross_attn_window_decoder', [null], 'cross-attention over older patches'],
  ['cross_attn_encoder', [null, true], 'an encoder without cross-attention'],
  ['cross_attn_decoder', [null, true], 'a decoder without cross-attention'],
  ['cross_attn_init_by_pooling', [null, true], 'patch queries that do not come from pooling'],
  ['downsampling_by_pooling', [null, 'max'], 'pooling other than max'],
  ['encoder_enable_byte_ngrams', [null, false], 'tables of frequent n-grams'],
  ['use_rope', [null, true], 'a model without rotary positions'],
];

/** @throws ConfigError naming the first argument that asks for arithmetic that is not built */
function checkBuilt(args: Json): void {
  for (const [key, accepted, what] of ONLY) {
    if (Object.hasOwn(args, key) && !accepted.includes(args[key])) {
      throw new ConfigError(`${key} is ${shownValue(args[key])}: ${what} is not supported`);
    }
  }
}

function shapeOf(stored: NamedShapes, name: string): readonly number[] {
  const found = stored.get(name);
  if (!found) throw new ConfigError(`the checkpoint has no tensor ${name}`);
  return found.shape;
}

function layersOf(stored: NamedShapes, prefix: string): number {
  let n = 0;
  while (stored.has(`${prefix}.layers.${n}.input_layernorm.weight`)) n++;
  if (n === 0) throw new ConfigError(`the checkpoint has no tensor ${prefix}.layers.0.input_layernorm.weight`);
  return n;
}

/** The numbers of a stack that its shapes do not tell. */
interface StackArguments {
  readonly heads: number;
  /** null: as many as `heads`. */
  readonly kvHeads?: number | null;
  readonly theta: number;
  readonly positions: number;
}

function stackOf(
  args: Json,
  stored: NamedShapes,
  prefix: string,
  { heads, kvHeads = null, theta, positions }: StackArguments,
): TransformerConfig {
  const [intermediateSize, hiddenSize] = shapeOf(stored, `${prefix}.layers.0.mlp.gate_proj.weight`);
  return {
    hiddenSize,
    numHiddenLayers: layersOf(stored, prefix),
    numAttentionHeads: heads,
    numKeyValueHeads: kvHeads ?? heads,
    intermediateSize,
    maxPositionEmbeddings: positions,
    rmsNormEps: read(args, 'norm_eps', 1e-5),
    ropeTheta: theta,
  };
}

/** The entropy model, if the checkpoint has one. Its head width is 64 unless its arguments say otherwise. */
function patcherOf(args: Json, stored: NamedShapes, entropyArgs: Json): TransformerConfig | null {
  if (!stored.has('model.patcher.embed_tokens.weight')) return null;
  const [, width] = shapeOf(stored, 'model.patcher.embed_tokens.weight');
  const heads = read(entropyArgs, 'n_heads', Math.max(1, Math.round(width / 64)));
  // The authors' loader never passes a theta: the default of their class, 10000, applies.
  return stackOf(args, stored, 'model.patcher', { heads, theta: 10_000, positions: 8192 });
}

function hashOf(args: Json, stored: NamedShapes): HashConfig {
  const groupSizes = sizes(args.encoder_hash_byte_group_size);
  const functions = read(args, 'encoder_hash_byte_group_nb_functions', 1);
  const table = stored.get('model.encoder_hash_tok_embedding.weight');
  if (!table) return { groupSizes: [], functions: 1, vocab: 1 };
  return { groupSizes, functions, vocab: table.shape[0] / (functions * groupSizes.length) };
}

/**
 * @param args model arguments (see `facebookArguments`)
 * @param stored names and shapes in the Hugging Face layout (see `withHuggingFaceNames`)
 * @param entropyArgs arguments of the entropy model, where they are known
 * @throws ConfigError naming the first argument or tensor that is missing or makes no sense
 */
export function configFromFacebook(args: Json, stored: NamedShapes, entropyArgs: Json = {}): BltConfig {
  checkBuilt(args);
  const theta = read(args, 'rope_theta', 500_000);
  const heads = (part: string) => read(args, `n_heads_${part}`, read(args, 'n_heads', 8));
  const longest = read(args, 'max_encoder_seq_length', 24576);
  const localStack = (part: string) =>
    stackOf(args, stored, `model.${part}`, { heads: heads(part), theta, positions: longest });
  const encoder = localStack('local_encoder');
  const hash = hashOf(args, stored);
  const config: BltConfig = {
    vocabSize: read(args, 'vocab_size', 260),
    behaviour: 'facebook',
    window: args.local_attention_window_len == null ? null : read(args, 'local_attention_window_len'),
    encoder: { ...encoder, crossAttnAllLayers: args.cross_attn_all_layers_encoder === true },
    global: stackOf(args, stored, 'model.global_transformer', {
      heads: heads('global'),
      kvHeads: args.n_kv_heads_global == null ? null : read(args, 'n_kv_heads_global'),
      theta,
      positions: read(args, 'max_seqlen', read(args, 'max_length', 4096)),
    }),
    decoder: { ...localStack('local_decoder'), crossAttnAllLayers: args.cross_attn_all_layers_decoder === true },
    patcher: patcherOf(args, stored, entropyArgs),
    crossAttnK: read(args, 'cross_attn_k', 2),
    hash,
    patching: patchingOf(args),
  };
  validateConfig(config);
  return config;
}
