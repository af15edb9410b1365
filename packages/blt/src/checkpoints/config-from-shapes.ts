/** @file A configuration guessed from names and shapes alone, for planning: what a checkpoint needs before any of it is there. */
import { ConfigError } from '../errors.ts';
import { type BltConfig, type LocalConfig, type TransformerConfig, validateConfig } from '../model/config.ts';
import type { NamedShapes } from './stored-tensors.ts';

/** Rows per hash table of the released models. */
const RELEASED_HASH_VOCAB = 500_002;

/**
 * Sizes, layers, k, cross-attentions and hash rows follow from the shapes. What no shape tells is taken from the released models: head
 * size 64 in local stacks, 128 in the global one (or the largest power of two that divides), tables of 500,002 rows, entropy patching.
 * @param shapes under the Hugging Face names
 * @throws ConfigError naming a tensor that is missing
 */
export function configFromShapes(shapes: NamedShapes): BltConfig {
  const shape = (name: string): readonly number[] => {
    const found = shapes.get(name)?.shape;
    if (!found) throw new ConfigError(`there is no tensor ${name}, which every BLT checkpoint has`);
    return found;
  };
  const count = (prefix: string, suffix: string): number => {
    let n = 0;
    while (shapes.has(`${prefix}.${n}.${suffix}`)) n++;
    return n;
  };
  const stack = (prefix: string, headDim: number, maxPositionEmbeddings: number, ropeTheta: number) => {
    const [intermediateSize, hiddenSize] = shape(`${prefix}.layers.0.mlp.gate_proj.weight`);
    const [kvWidth] = shape(`${prefix}.layers.0.self_attn.k_proj.weight`);
    let size = headDim;
    while (size > 2 && (hiddenSize % size !== 0 || kvWidth % size !== 0)) size /= 2;
    const c: TransformerConfig = {
      hiddenSize,
      numHiddenLayers: count(`${prefix}.layers`, 'input_layernorm.weight'),
      numAttentionHeads: hiddenSize / size,
      numKeyValueHeads: kvWidth / size,
      intermediateSize,
      maxPositionEmbeddings,
      rmsNormEps: 1e-5,
      ropeTheta,
    };
    return c;
  };
  const local = (prefix: string): LocalConfig => {
    const c = stack(prefix, 64, 24576, 500_000);
    const crossLayers = count(`${prefix}.cross_attn_layers`, 'q_proj.weight');
    return { ...c, crossAttnAllLayers: crossLayers === c.numHiddenLayers && c.numHiddenLayers > 1 };
  };
  const encoder = local('model.local_encoder');
  const [wide] = shape('model.local_encoder.patch_embedding_projection.weight');
  const rows = shapes.get('model.encoder_hash_tok_embedding.weight')?.shape[0] ?? 0;
  const tables = rows > 0 && rows % RELEASED_HASH_VOCAB === 0 ? rows / RELEASED_HASH_VOCAB : 1;
  const config: BltConfig = {
    vocabSize: shape('lm_head.weight')[0],
    behaviour: 'huggingface',
    window: null,
    encoder,
    global: stack('model.global_transformer', 128, 4096, 500_000),
    decoder: local('model.local_decoder'),
    patcher: shapes.has('model.patcher.embed_tokens.weight') ? stack('model.patcher', 64, 8192, 10_000) : null,
    crossAttnK: wide / encoder.hiddenSize,
    hash: {
      groupSizes: rows === 0 ? [] : Array.from({ length: tables }, (_, i) => 3 + i),
      functions: 1,
      vocab: rows === 0 ? 1 : rows / tables,
    },
    patching: shapes.has('model.patcher.embed_tokens.weight')
      ? { mode: 'entropy', threshold: 1.335442066192627 }
      : { mode: 'space' },
  };
  validateConfig(config);
  return config;
}
