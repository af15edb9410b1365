/**
 * @file The configuration of a facebookresearch/blt checkpoint: its model arguments, completed by the shapes of its tensors. Feed-forward
 * widths are always those that are stored, never computed.
 */
import { ConfigError } from '../errors.ts';
import { type BltConfig, type TransformerConfig, validateConfig } from '../model/config.ts';
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

/**
 * @param args model arguments (see `facebookArguments`)
 * @param stored names and shapes in the Hugging Face layout (see `withHuggingFaceNames`)
 * @param entropyArgs arguments of the entropy model, where they are known
 * @throws ConfigError naming the first argument or tensor that is missing or makes no sense
 */
export function configFromFacebook(args: Json, stored: NamedShapes, entropyArgs: Json = {}): BltConfig {
  for (const [key, accepted, what] of ONLY) {
    if (Object.hasOwn(args, key) && !accepted.includes(args[key])) {
      throw new ConfigError(`${key} is ${shownValue(args[key])}: ${what} is not supported`);
    }
  }
  const shape = (name: string): readonly number[] => {
    const found = stored.get(name);
    if (!found) throw new ConfigError(`the checkpoint has no tensor ${name}`);
    return found.shape;
  };
  const layersOf = (prefix: string): number => {
    let n = 0;
    while (stored.has(`${prefix}.layers.${n}.input_layernorm.weight`)) n++;
    if (n === 0) throw new ConfigError(`the checkpoint has no tensor ${prefix}.layers.0.input_layernorm.weight`);
    return n;
  };
  const stack = (prefix: string, heads: number, kvHeads: number | null, theta: number, max: number) => {
    const [intermediateSize, hiddenSize] = shape(`${prefix}.layers.0.mlp.gate_proj.weight`);
    const c: TransformerConfig = {
      hiddenSize,
      numHiddenLayers: layersOf(prefix),
      numAttentionHeads: heads,
      numKeyValueHeads: kvHeads ?? heads,
      intermediateSize,
      maxPositionEmbeddings: max,
      rmsNormEps: read(args, 'norm_eps', 1e-5),
      ropeTheta: theta,
    };
    return c;
  };
  const theta = read(args, 'rope_theta', 500_000);
  const heads = (part: string) => read(args, `n_heads_${part}`, read(args, 'n_heads', 8));
  const longest = read(args, 'max_encoder_seq_length', 24576);
  const encoder = stack('model.local_encoder', heads('local_encoder'), null, theta, longest);
  const hasPatcher = stored.has('model.patcher.embed_tokens.weight');
  const patcherWidth = hasPatcher ? shape('model.patcher.embed_tokens.weight')[1] : 0;
  const sized = sizes(args.encoder_hash_byte_group_size);
  const functions = read(args, 'encoder_hash_byte_group_nb_functions', 1);
  const table = stored.get('model.encoder_hash_tok_embedding.weight');
  const config: BltConfig = {
    vocabSize: read(args, 'vocab_size', 260),
    behaviour: 'facebook',
    window: args.local_attention_window_len == null ? null : read(args, 'local_attention_window_len'),
    encoder: { ...encoder, crossAttnAllLayers: args.cross_attn_all_layers_encoder === true },
    global: stack(
      'model.global_transformer',
      heads('global'),
      args.n_kv_heads_global == null ? null : read(args, 'n_kv_heads_global'),
      theta,
      read(args, 'max_seqlen', read(args, 'max_length', 4096)),
    ),
    decoder: {
      ...stack('model.local_decoder', heads('local_decoder'), null, theta, longest),
      crossAttnAllLayers: args.cross_attn_all_layers_decoder === true,
    },
    patcher: hasPatcher
      ? // The authors' loader never passes a theta: the default of their class, 10000, applies.
        stack(
          'model.patcher',
          read(entropyArgs, 'n_heads', Math.max(1, Math.round(patcherWidth / 64))),
          null,
          10_000,
          8192,
        )
      : null,
    crossAttnK: read(args, 'cross_attn_k', 2),
    hash: {
      groupSizes: table ? sized : [],
      functions: table ? functions : 1,
      vocab: table ? table.shape[0] / (functions * sized.length) : 1,
    },
    patching: patchingOf(args),
  };
  validateConfig(config);
  return config;
}
