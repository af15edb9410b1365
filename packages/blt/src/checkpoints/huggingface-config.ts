/**
 * @file `config.json` of Hugging Face: the keys of `BltConfig`, read with the defaults of transformers and written so that it reads them.
 */
import { ConfigError } from '../errors.ts';
import {
  type Behaviour,
  type BltConfig,
  type LocalConfig,
  type TransformerConfig,
  validateConfig,
} from '../model/config.ts';
import type { PatchingOptions } from '../patching/boundaries.ts';
import { shownValue } from './shown-value.ts';

type Json = Record<string, unknown>;

/** Reads typed keys of a JSON object; every complaint names the key, what it holds and what it should hold. */
class Keys {
  private readonly json: Json;
  private readonly path: string;

  constructor(json: unknown, path: string) {
    if (json === null || typeof json !== 'object' || Array.isArray(json)) {
      throw new ConfigError(`config.json: ${path || 'the file'} must be an object, got ${shownValue(json)}`);
    }
    this.json = json as Json;
    this.path = path;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.json, key) && this.json[key] !== null && this.json[key] !== undefined;
  }

  isNull(key: string): boolean {
    return Object.hasOwn(this.json, key) && this.json[key] === null;
  }

  number(key: string, fallback?: number): number {
    if (!this.has(key) && fallback !== undefined) return fallback;
    return this.typed(key, 'number', Number.isFinite) as number;
  }

  boolean(key: string, fallback: boolean): boolean {
    return this.has(key) ? (this.typed(key, 'boolean') as boolean) : fallback;
  }

  text(key: string, fallback: string): string {
    return this.has(key) ? (this.typed(key, 'string') as string) : fallback;
  }

  numbers(key: string, fallback: readonly number[]): readonly number[] {
    if (!this.has(key)) return fallback;
    const value = this.json[key];
    if (!Array.isArray(value) || !value.every((x) => Number.isSafeInteger(x))) {
      throw new ConfigError(`config.json: ${this.at(key)} must be a list of whole numbers, got ${shownValue(value)}`);
    }
    return value;
  }

  /** For keys of which only one value is built: absent or this one. */
  only(key: string, wanted: string): void {
    if (this.text(key, wanted) !== wanted) {
      throw new ConfigError(`config.json: ${this.at(key)} must be "${wanted}", got ${shownValue(this.json[key])}`);
    }
  }

  section(key: string): Keys {
    return new Keys(this.has(key) ? this.json[key] : undefined, this.at(key));
  }

  private at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }

  private typed(key: string, type: string, accept: (x: never) => boolean = () => true): unknown {
    const value = Object.hasOwn(this.json, key) ? this.json[key] : undefined;
    if (typeof value !== type || !accept(value as never)) {
      throw new ConfigError(`config.json: ${this.at(key)} must be a ${type}, got ${shownValue(value)}`);
    }
    return value;
  }
}

/** Defaults of the classes of transformers for keys that a file leaves out (4.57 writes only those that differ). A width of null is computed. */
const CLASS_DEFAULTS = {
  encoder: { hidden: 1024, heads: 16, layers: 1, intermediate: null, positions: 24_576, theta: 500_000 },
  decoder: { hidden: 1024, heads: 16, layers: 9, intermediate: 2816, positions: 24_576, theta: 500_000 },
  global: { hidden: 2048, heads: 16, layers: 25, intermediate: 5632, positions: 4096, theta: 500_000 },
  patcher: { hidden: 768, heads: 12, layers: 14, intermediate: 2048, positions: 8192, theta: 10_000 },
} as const;

function transformerFromKeys(keys: Keys, stack: keyof typeof CLASS_DEFAULTS): TransformerConfig {
  const defaults = CLASS_DEFAULTS[stack];
  const hiddenSize = keys.number('hidden_size', defaults.hidden);
  const heads = keys.number('num_attention_heads', defaults.heads);
  const computed = Math.trunc((8 * hiddenSize) / 3);
  // transformers 4 has `rope_theta` and `rope_scaling`, transformers 5 `rope_parameters`.
  for (const rope of ['rope_parameters', 'rope_scaling']
    .filter((key) => keys.has(key))
    .map((key) => keys.section(key))) {
    rope.only('rope_type', 'default');
    rope.only('type', 'default');
  }
  const ropeTheta = (keys.has('rope_parameters') ? keys.section('rope_parameters') : keys).number(
    'rope_theta',
    defaults.theta,
  );
  keys.only('hidden_act', 'silu');
  return {
    hiddenSize,
    numHiddenLayers: keys.number('num_hidden_layers', defaults.layers),
    numAttentionHeads: heads,
    numKeyValueHeads: keys.number('num_key_value_heads', heads),
    // A null is computed, a key that is missing is the class's.
    intermediateSize: keys.number(
      'intermediate_size',
      keys.isNull('intermediate_size') ? computed : (defaults.intermediate ?? computed),
    ),
    maxPositionEmbeddings: keys.number('max_position_embeddings', defaults.positions),
    rmsNormEps: keys.number('rms_norm_eps', 1e-5),
    ropeTheta,
  };
}

function patchingFromKeys(keys: Keys): PatchingOptions {
  const mode = keys.text('patching_mode', 'entropy');
  const maxPatchLength = keys.has('max_patch_length') ? keys.number('max_patch_length') : null;
  switch (mode) {
    case 'entropy':
      return {
        mode,
        threshold: keys.number('patching_threshold', 1.335442066192627),
        monotonic: keys.boolean('monotonicity', false),
        thresholdAdd: keys.has('patching_threshold_add') ? keys.number('patching_threshold_add') : null,
        maxPatchLength,
      };
    case 'static':
      return { mode, patchSize: keys.number('patch_size'), maxPatchLength };
    case 'space':
    case 'byte':
    case 'bpe':
      return { mode, maxPatchLength };
    default:
      throw new ConfigError(
        `config.json: patching_mode must be entropy, space, static, byte or bpe, got ${shownValue(mode)}`,
      );
  }
}

/**
 * A configuration from the JSON of a Hugging Face `config.json`. A file without our own keys was written by transformers and
 * gets its behaviour (no window, no document bounds).
 * @throws ConfigError naming the key, its value and what it should be
 */
export function configFromHuggingFace(json: unknown): BltConfig {
  const keys = new Keys(json, '');
  const type = keys.text('model_type', 'blt');
  if (type !== 'blt') throw new ConfigError(`config.json: model_type must be "blt", got ${shownValue(type)}`);
  const behaviour = keys.text('blt_behaviour', 'huggingface');
  if (behaviour !== 'facebook' && behaviour !== 'huggingface') {
    throw new ConfigError(`config.json: blt_behaviour must be facebook or huggingface, got ${shownValue(behaviour)}`);
  }
  const encoder = keys.section('encoder_config');
  const decoder = keys.section('decoder_config');
  const patching = patchingFromKeys(keys);
  const config: BltConfig = {
    vocabSize: keys.number('vocab_size', 260),
    behaviour: behaviour as Behaviour,
    window: keys.has('local_attention_window') ? keys.number('local_attention_window') : null,
    encoder: {
      ...transformerFromKeys(encoder, 'encoder'),
      crossAttnAllLayers: encoder.boolean('cross_attn_all_layers', false),
    },
    global: transformerFromKeys(keys.section('global_config'), 'global'),
    decoder: {
      ...transformerFromKeys(decoder, 'decoder'),
      crossAttnAllLayers: decoder.boolean('cross_attn_all_layers', true),
    },
    patcher:
      keys.has('patcher_config') && keys.boolean('patch_in_forward', true)
        ? transformerFromKeys(keys.section('patcher_config'), 'patcher')
        : null,
    crossAttnK: keys.number('cross_attn_k', 2),
    hash: {
      groupSizes: keys.numbers('encoder_hash_byte_group_size', [3, 4, 5, 6, 7, 8]),
      functions: keys.number('encoder_hash_byte_group_nb_functions', 1),
      vocab: keys.number('encoder_hash_byte_group_vocab', 500_002),
    },
    patching,
  };
  validateConfig(config);
  return config;
}

/** The JSON of `config.json`, with the keys transformers reads and three of our own (`blt_behaviour`, `local_attention_window`). */
export function configToHuggingFace(c: BltConfig): Json {
  const stack = (t: TransformerConfig, type: string) => ({
    model_type: type,
    hidden_size: t.hiddenSize,
    num_hidden_layers: t.numHiddenLayers,
    num_attention_heads: t.numAttentionHeads,
    num_key_value_heads: t.numKeyValueHeads,
    head_dim: t.hiddenSize / t.numAttentionHeads,
    intermediate_size: t.intermediateSize,
    max_position_embeddings: t.maxPositionEmbeddings,
    rms_norm_eps: t.rmsNormEps,
    rope_theta: t.ropeTheta,
    rope_parameters: { rope_type: 'default', rope_theta: t.ropeTheta },
    dropout: 0,
    hidden_act: 'silu',
  });
  const local = (t: LocalConfig, type: string) => ({
    ...stack(t, type),
    vocab_size: c.vocabSize,
    cross_attn_all_layers: t.crossAttnAllLayers,
    cross_attn_k: c.crossAttnK,
    hidden_size_global: c.global.hiddenSize,
  });
  const wide = c.crossAttnK * c.encoder.hiddenSize;
  const { patching } = c;
  return {
    architectures: ['BltForCausalLM'],
    model_type: 'blt',
    vocab_size: c.vocabSize,
    max_position_embeddings: c.global.maxPositionEmbeddings,
    patch_in_forward: c.patcher !== null,
    patch_size: patching.mode === 'static' ? patching.patchSize : 4,
    patching_mode: patching.mode,
    patching_threshold: patching.mode === 'entropy' ? patching.threshold : null,
    patching_threshold_add: patching.mode === 'entropy' ? (patching.thresholdAdd ?? null) : null,
    monotonicity: patching.mode === 'entropy' ? (patching.monotonic ?? false) : false,
    patching_batch_size: 1,
    max_patch_length: patching.maxPatchLength ?? null,
    cross_attn_k: c.crossAttnK,
    encoder_hash_byte_group_size: [...c.hash.groupSizes],
    encoder_hash_byte_group_vocab: c.hash.vocab,
    encoder_hash_byte_group_nb_functions: c.hash.functions,
    tie_word_embeddings: false,
    initializer_range: 0.02,
    rope_theta: c.global.ropeTheta,
    rope_parameters: { rope_type: 'default', rope_theta: c.global.ropeTheta },
    encoder_config: local(c.encoder, 'blt_local_encoder'),
    decoder_config: local(c.decoder, 'blt_local_decoder'),
    global_config: {
      ...stack(c.global, 'blt_global_transformer'),
      encoder_cross_output_size: wide === c.global.hiddenSize ? null : wide,
    },
    ...(c.patcher ? { patcher_config: { ...stack(c.patcher, 'blt_patcher'), vocab_size: c.vocabSize } } : {}),
    blt_behaviour: c.behaviour,
    local_attention_window: c.window,
  };
}
