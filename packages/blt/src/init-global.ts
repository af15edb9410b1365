/**
 * @file Byte-ifying: the global transformer starts from a trained Llama. Its blocks are the same (RMSNorm, rotary positions, grouped
 * heads, SwiGLU) but for two things: transformers stores Llama's queries and keys for rotation by halves, BLT's rotate neighbours; and the
 * global transformer has neither embeddings, nor a final norm, nor an output layer, so these stay behind.
 * @see Pagnoni et al. 2024, section on byte-ifying Llama 3; Touvron et al. 2023
 */
import { formatShape, sameShape, toFloat32 } from '@blt-ts/tensor';
import { ConfigError, type TransformerConfig } from './config.ts';
import type { BltParams } from './parameters.ts';
import type { StoredTensors } from './stored-tensors.ts';

const wholeNumber = (json: Record<string, unknown>, key: string, fallback?: number): number => {
  const value = json[key] ?? fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new ConfigError(
      `config.json of the Llama: ${key} must be a number, got ${JSON.stringify(value) ?? 'nothing'}`,
    );
  }
  return value;
};

/**
 * Sizes of a global transformer that takes a Llama's blocks, from its `config.json`. Scaled rotary frequencies (`rope_scaling`) are
 * left out: they only matter past the context the Llama was first trained with, and a row of patches is shorter.
 * @throws ConfigError naming a key that is missing or another kind of model
 */
export function globalFromLlama(json: unknown): TransformerConfig {
  if (json === null || typeof json !== 'object') throw new ConfigError('config.json of the Llama must be an object');
  const keys = json as Record<string, unknown>;
  if (keys.model_type !== 'llama') {
    throw new ConfigError(`config.json: model_type must be "llama", got ${JSON.stringify(keys.model_type)}`);
  }
  const heads = wholeNumber(keys, 'num_attention_heads');
  const hiddenSize = wholeNumber(keys, 'hidden_size');
  if (wholeNumber(keys, 'head_dim', hiddenSize / heads) * heads !== hiddenSize) {
    throw new ConfigError(`config.json: head_dim ${keys.head_dim} x ${heads} heads is not hidden_size ${hiddenSize}`);
  }
  const rope = (keys.rope_parameters ?? keys) as Record<string, unknown>;
  return {
    hiddenSize,
    numHiddenLayers: wholeNumber(keys, 'num_hidden_layers'),
    numAttentionHeads: heads,
    numKeyValueHeads: wholeNumber(keys, 'num_key_value_heads', heads),
    intermediateSize: wholeNumber(keys, 'intermediate_size'),
    maxPositionEmbeddings: wholeNumber(keys, 'max_position_embeddings', 4096),
    rmsNormEps: wholeNumber(keys, 'rms_norm_eps', 1e-5),
    ropeTheta: wholeNumber(rope, 'rope_theta', 10_000),
  };
}

/**
 * Rows of a query or key matrix from rotation by halves to rotation of neighbours: in each head, row 2j is row j of the first half and
 * row 2j+1 row j of the second.
 * @param w [heads*headDim, inner]   @returns the same shape
 */
export function interleaveHeads(w: Float32Array, headDim: number, inner: number): Float32Array {
  const out = new Float32Array(w.length);
  const rows = w.length / inner;
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const from = row - inHead + (inHead % 2) * (headDim / 2) + (inHead >> 1);
    out.set(w.subarray(from * inner, (from + 1) * inner), row * inner);
  }
  return out;
}

/**
 * Overwrites the blocks of the global transformer with those of a Llama in the Hugging Face layout, in order. A Llama with more
 * layers gives its first ones.
 * @returns the names of the parameters that were copied: those to train at a lower rate
 * @throws ConfigError naming the first tensor that is missing or has another shape
 */
export function copyLlamaIntoGlobal(params: BltParams, stored: StoredTensors, c: TransformerConfig): string[] {
  const headDim = c.hiddenSize / c.numAttentionHeads;
  const copied: string[] = [];
  params.model.global_transformer.layers.forEach((layer, i) => {
    const parts = [
      ...Object.entries(layer.self_attn).map(([name, w]) => [`self_attn.${name}`, w] as const),
      ...Object.entries(layer.mlp).map(([name, w]) => [`mlp.${name}`, w] as const),
      ['input_layernorm', layer.input_layernorm] as const,
      ['post_attention_layernorm', layer.post_attention_layernorm] as const,
    ];
    for (const [name, { weight }] of parts) {
      const key = `model.layers.${i}.${name}.weight`;
      const found = stored.get(key);
      if (!found) throw new ConfigError(`the Llama has no tensor ${key} ${formatShape(weight.shape)}`);
      if (!sameShape(found.shape, weight.shape)) {
        throw new ConfigError(
          `the Llama's ${key} is ${formatShape(found.shape)}, the global transformer needs ${formatShape(weight.shape)}`,
        );
      }
      const values = toFloat32({ dtype: found.dtype, shape: [...found.shape], data: found.read() }, key);
      const rotated = name === 'self_attn.q_proj' || name === 'self_attn.k_proj';
      weight.assign(rotated ? interleaveHeads(values, headDim, c.hiddenSize) : values);
      copied.push(`model.global_transformer.layers.${i}.${name}.weight`);
    }
  });
  return copied;
}
